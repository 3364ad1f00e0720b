"""Settings that make methods of many passes quick, and the methods that fit a convnet."""

import keras_actmaps as kam

FOR_CONVNETS = [name for name, method in kam.METHODS.items() if "attention" not in method.needs]

# Every random number of these is drawn on the host.
QUICK = {
    "smoothgrad": {"samples": 4},
    "squaregrad": {"samples": 4},
    "vargrad": {"samples": 4},
    "integrated_gradients": {"steps": 4},
    "idgi": {"steps": 4},
    "guided_ig": {"steps": 4},
    "conductance": {"steps": 4},
    "expected_gradients": {"samples": 4},
    "gradient_shap": {"samples": 4},
    "blur_ig": {"steps": 4},
    "deeplift_shap": {"samples": 3},
    "xrai": {"steps": 4, "scales": (2, 3)},
    "occlusion": {"patch": 6},
    "rise": {"samples": 12, "cells": 3},
    "lime": {"samples": 24, "cells": 3},
    "kernel_shap": {"samples": 24, "cells": 3},
    "feature_ablation": {"cells": 3},
    "shapley_sampling": {"permutations": 2, "cells": 3},
    "hsic": {"samples": 24, "cells": 3},
    "sobol": {"designs": 2, "cells": 3},
    "extremal_perturbation": {"steps": 6, "cells": 4},
}
