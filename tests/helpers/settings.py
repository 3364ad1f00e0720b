"""Settings that make methods of many passes quick. Every random number of theirs is drawn on the host."""

QUICK = {
    "smoothgrad": {"samples": 4},
    "squaregrad": {"samples": 4},
    "vargrad": {"samples": 4},
    "integrated_gradients": {"steps": 4},
    "expected_gradients": {"samples": 4},
    "blur_ig": {"steps": 4},
    "xrai": {"steps": 4, "scales": (2, 3)},
    "occlusion": {"patch": 6},
    "rise": {"samples": 12, "cells": 3},
    "lime": {"samples": 24, "cells": 3},
    "kernel_shap": {"samples": 24, "cells": 3},
    "hsic": {"samples": 24, "cells": 3},
    "sobol": {"designs": 2, "cells": 3},
    "extremal_perturbation": {"steps": 6, "cells": 4},
}
