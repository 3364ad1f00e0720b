"""Compare all maps with those stored before the package was restructured: python -m benchmarks.reference_maps.

`--store` writes the file again. The stored one was written by this script at commit b14c067, with a function of the
outputs for the target that is a `Difference` now: functions received logits then, and receive the model's outputs now.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
from keras import layers

import keras_actmaps as kam

STORED = Path(__file__).with_name("reference_maps.npz")
TOLERANCE = 1e-5  # of the largest value of a map
QUICK = {
    "smoothgrad": {"samples": 4},
    "squaregrad": {"samples": 4},
    "vargrad": {"samples": 4},
    "integrated_gradients": {"steps": 6},
    "idgi": {"steps": 6},
    "guided_ig": {"steps": 6},
    "conductance": {"steps": 6},
    "expected_gradients": {"samples": 6},
    "gradient_shap": {"samples": 6},
    "deeplift_shap": {"samples": 3},
    "blur_ig": {"steps": 6},
    "occlusion": {"patch": 5},
    "rise": {"samples": 24, "cells": 3},
    "lime": {"samples": 32, "cells": 3},
    "kernel_shap": {"samples": 40, "cells": 3},
    "feature_ablation": {"cells": 3},
    "shapley_sampling": {"permutations": 4, "cells": 3},
    "hsic": {"samples": 24, "cells": 3},
    "sobol": {"designs": 2, "cells": 3},
    "extremal_perturbation": {"steps": 8, "cells": 4},
}
CHANGED = (  # sampled otherwise since, for the same expectation or integral: their own tests compare with closed forms
    *("rise: maps", "integrated_gradients, blur: maps", "integrated_gradients, blur: residual"),
    "extremal_perturbation: maps",  # from another start, with another fill: measured on planted patches
)
VARIANTS = {
    "gradcam, conv": ("gradcam", {"layer": "conv"}),
    "gradcam, all": ("gradcam", {"targets": "all"}),
    "layercam, fused": ("layercam", {"layer": ["conv", "features"]}),
    "saliency, keep": ("saliency", {"channels": "keep"}),
    "saliency, function": ("saliency", {"targets": kam.targets.Difference(1, 0)}),  # stored with a function of logits
    "lrp, gamma": ("lrp", {"rule": "gamma"}),
    "lrp, box": ("lrp", {"composite": "epsilon_gamma_box", "low": 0.0, "high": 1.0}),
    "lrp, alpha-beta": ("lrp", {"composite": "epsilon_alpha2_beta1", "bias": False}),
    "integrated_gradients, blur": ("integrated_gradients", {"steps": 5, "baseline": "blur", "tolerance": 0.05}),
    "smoothgrad, integrated_gradients": (
        "smoothgrad",
        {"of": "gradient_x_input", "samples": 3, "channels": "sum"},
    ),
    "occlusion, stride": ("occlusion", {"patch": (4, 6), "stride": 3, "fill": "mean"}),
    "kernel_shap, grid": ("kernel_shap", {"segments": "grid", "cells": 2, "samples": 30}),
}


def network() -> keras.Model:
    """Convolutions, batch normalization, pooling, a residual and a gate, with seeded weights."""
    inputs = keras.Input((20, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization()(layers.MaxPooling2D()(x))
    branch = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", use_bias=False)(x)))
    x = layers.Add()([x, layers.DepthwiseConv2D(3, padding="same")(branch)])
    gate = layers.Dense(8, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.LeakyReLU(negative_slope=0.1)(layers.Multiply()([x, gate]))
    x = layers.Conv2D(12, 3, strides=2, padding="same", activation="relu", name="features")(x)
    model = keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    random = np.random.default_rng(6)
    for variable in model.variables:
        if variable.name in ("gamma", "moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        else:
            inputs = np.prod(variable.shape[:-1]) if "kernel" in variable.name else 10
            variable.assign(random.normal(0, np.sqrt(2 / inputs), variable.shape))
    return model


def measure() -> dict[str, np.ndarray]:
    """The maps of every method and variant, features, ascents, exemplars, and metrics of one map."""
    model, images = network(), np.random.default_rng(1).random((3, 20, 16, 3), "float32")
    fitting = [name for name, reason in kam.supported(model).items() if not reason]
    questions = {name: (name, QUICK.get(name, {})) for name in fitting} | VARIANTS
    arrays = {}
    for label, (method, settings) in questions.items():
        e = kam.explain(model, images, method=method, batch_size=2, **settings)
        arrays[f"{label}: maps"], arrays[f"{label}: scores"] = e.maps, e.scores
        if e.residual is not None:
            arrays[f"{label}: residual"] = e.residual
    for path, features in kam.feature_maps(model, images, "all").items():
        arrays[f"features of {path}"] = features
    for number, block in enumerate(kam.pooling(model, images)):
        arrays |= {f"pooling {number}: {part}": getattr(block, part) for part in ("before", "maximum", "average")}
    arrays["ascent"] = kam.ascent(model, "all", steps=12)
    found = kam.exemplars(model, [images], k=2)
    arrays |= {"exemplars: scores": found.scores, "exemplars: indices": found.indices}
    explanation = kam.explain(model, images, method="gradcam")
    masks = np.zeros((3, 20, 16), bool)
    masks[:, 4:12, 3:10] = True
    for name in ("deletion", "insertion", "road", "average_drop", "sensitivity_n", "infidelity", "max_sensitivity"):
        settings = {"samples": 4} if name in ("sensitivity_n", "infidelity", "max_sensitivity") else {}
        arrays[f"metric {name}"] = getattr(kam.metrics, name)(model, images, explanation, **settings)
    for name in ("pointing_game", "energy_pointing", "rank_accuracy", "pixel_average_precision"):
        arrays[f"metric {name}"] = getattr(kam.metrics, name)(explanation, masks)
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", action="store_true", help="write the file again")
    if parser.parse_args().store:
        np.savez_compressed(STORED, **measure())
        return
    stored, worst = np.load(STORED), ("nothing", 0.0)
    found = measure()
    compared = [label for label in stored.files if label not in CHANGED]
    for label in compared:
        before, now = stored[label], found[label]
        scale = max(float(np.abs(before).max()), 1e-6)
        if label.endswith("residual"):  # a difference of sums, accurate to the rounding of the score
            scale = max(scale, float(np.abs(stored[label.replace("residual", "scores")]).max()))
        if label.startswith("metric"):  # squares of small differences of scores, whose rounding varies by processor
            scale *= 5
        worst = max(worst, (label, float(np.abs(now - before).max()) / scale), key=lambda pair: pair[1])
    print(f"{len(compared)} arrays; the largest difference is {worst[1]:.2g} of the largest value, of {worst[0]}")
    if worst[1] > TOLERANCE:
        raise SystemExit(f"above {TOLERANCE}")


if __name__ == "__main__":
    main()
