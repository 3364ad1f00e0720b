"""What an error recommends works: each recommendation is followed."""

import ast
import re

import keras
import numpy as np
import pytest
from helpers import BACKEND, gap_network
from helpers.matrix import explained, reasons, settings_for
from helpers.zoo import KINDS, example
from keras import layers

import keras_actmaps as kam

NAMES = "|".join(sorted(kam.METHODS, key=len, reverse=True))
OTHER_METHODS = re.compile(
    rf"; ((?:{NAMES})(?: and (?:{NAMES}))*) (?:works there|takes? any(?: layer)?|can|need none)$"
)
NO_ADVICE = (
    *("has no layer with a spatial output$", "^model must be a Keras model", "only models with one input can be"),
)  # fmt: skip


def run(kind, method, **settings):
    model, inputs, targets = example(kind)
    e = explained(model, inputs, method, targets, settings_for(kind, method) | settings)
    assert all(np.isfinite(maps).all() for maps in keras.tree.flatten(e.maps))


def add_rules(kind, method, match):
    """Pass the rules that the message gives, and those that the next messages give for other layers."""
    rules = {}
    while match:
        rules |= ast.literal_eval(match[1])
        try:
            return run(kind, method, rules=rules)
        except ValueError as error:
            match = re.search(RULES, str(error))
            assert match and ast.literal_eval(match[1]).items() - rules.items(), error


def use_methods(kind, method, match):
    assert all(reasons(kind)[name] is None for name in re.findall(NAMES, match[1]))


def need_no_layer(kind, method, match):
    names = [name for name, one in kam.METHODS.items() if one.level == "input" and "graph" not in one.needs]
    assert len(names) > 8 and not any(reasons(kind)[name] for name in names)


def other_fills(kind, method, match):
    for fill in ("zero", "mean", 0.5, np.zeros(KINDS[kind].shape)):
        run(kind, method, fill=fill)


def name_an_input(kind, method, match):
    for name in match[1].split(", "):
        run(kind, method, perturb=name)


def baselines_by_input(kind, method, match):
    model, inputs, _ = example(kind)
    names = [tensor.name for tensor in model.inputs]
    run(kind, method, baselines=inputs if isinstance(inputs, dict) else dict(zip(names, inputs)))


RULES = r"; pass one as rules=(\{.*\}): "
REMEDIES = {
    OTHER_METHODS: use_methods,
    re.compile("; methods that need scores only: (.+)$"): use_methods,
    re.compile(RULES): add_rules,
    re.compile("; methods that need no layer work$"): need_no_layer,
    re.compile("^perturb must name the input to perturb, one of (.*)$"): name_an_input,
    re.compile("needs baselines: a dict of arrays by input$"): baselines_by_input,
    re.compile("needs baselines: an array of token ids$"): lambda kind, method, match: run(
        kind, method, baselines=example(kind)[1]
    ),
    re.compile(r"; use 'zero', 'mean', a number or an array$"): other_fills,
    re.compile(r"; pass baselines \(B, F\), such as rows of it$"): lambda kind, method, match: run(
        kind, method, baselines=example(kind)[1]
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_advice_for_a_method_that_does_not_fit_a_kind_of_model_works(kind):
    for method, reason in reasons(kind).items():
        if reason is None or any(re.search(pattern, reason) for pattern in NO_ADVICE):
            continue
        found = [(remedy, match) for pattern, remedy in REMEDIES.items() if (match := pattern.search(reason))]
        assert found, f"no test follows what this recommends: {reason}"
        for remedy, match in found:
            remedy(kind, method, match)


IMAGES = np.random.default_rng(0).random((2, 12, 16, 3), "float32")


def map_network():
    return keras.Sequential([keras.Input((12, 16, 3)), layers.Conv2D(2, 3)])


CALLS = [  # a message, the call that raises it, and what it recommends
    ("; for a single image pass image\\[None\\]$", lambda: ((gap_network(), IMAGES[0]), {}),
     lambda: ((gap_network(), IMAGES[0][None]), {})),
    ("; their channels come first: pass numpy.moveaxis\\(images, 1, -1\\)$",
     lambda: ((gap_network(), np.moveaxis(IMAGES, -1, 1)), {}),
     lambda: ((gap_network(), np.moveaxis(np.moveaxis(IMAGES, -1, 1), 1, -1)), {})),
    ("; pass a function outputs -> \\(N,\\) as targets$", lambda: ((map_network(), IMAGES, "saliency"), {}),
     lambda: ((map_network(), IMAGES, "saliency"), {"targets": lambda outputs: outputs[:, 1, 2, 0]})),
    ("; use kam.targets.Output or a function$",
     lambda: ((map_network(), IMAGES, "saliency"), {"targets": kam.targets.Class(0)}),
     lambda: ((map_network(), IMAGES, "saliency"), {"targets": kam.targets.Output(None, (1, 2, 0))})),
    ("; pass integers of shape \\(N,\\) or \\(N, K\\)$", lambda: ((gap_network(), IMAGES), {"targets": [0.5, 1.5]}),
     lambda: ((gap_network(), IMAGES), {"targets": [[0, 1], [2, 3]]})),
    ("; layercam can$", lambda: ((gap_network(), IMAGES), {"layer": ["conv1", "features"]}),
     lambda: ((gap_network(), IMAGES, "layercam"), {"layer": ["conv1", "features"]})),
    ("; pass one integer, or one per axis$", lambda: ((gap_network(), IMAGES, "occlusion"), {"patch": (4, 4, 4)}),
     lambda: ((gap_network(), IMAGES, "occlusion"), {"patch": (4, 4)})),
    ("; pass 6 or more$",
     lambda: ((gap_network(), IMAGES, "kernel_shap"), {"segments": "grid", "cells": 2, "samples": 5}),
     lambda: ((gap_network(), IMAGES, "kernel_shap"), {"segments": "grid", "cells": 2, "samples": 6})),
    ("; pass integers of shape \\(12, 16\\)$",
     lambda: ((gap_network(), IMAGES, "lime"), {"segments": np.zeros((3, 3))}),
     lambda: ((gap_network(), IMAGES, "lime"), {"segments": np.arange(192).reshape(12, 16) // 50, "samples": 8})),
    ("; make another Probe$", lambda: ((kam.Probe(gap_network()), IMAGES), {"layer": "conv1"}),
     lambda: ((kam.Probe(gap_network(), "conv1"), IMAGES), {})),
    ("choices: conv1, pool1, features$", lambda: ((gap_network(), IMAGES), {"layer": "logits"}),
     lambda: ((gap_network(), IMAGES), {"layer": "conv1"})),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*maps are all zero")
@pytest.mark.parametrize(("message", "call", "remedy"), CALLS, ids=[call[0][:30] for call in CALLS])
def test_the_advice_for_arguments_that_do_not_fit_works(message, call, remedy):
    arguments, options = call()
    with pytest.raises(ValueError, match=message):
        kam.explain(*arguments, **options)
    arguments, options = remedy()
    assert np.isfinite(kam.explain(*arguments, **options).maps).all()


@pytest.mark.skipif(BACKEND != "torch", reason="modules need Keras on PyTorch")
def test_the_advice_for_a_module_without_a_shape_works():
    model, inputs, _ = example("torch.nn.Module")
    with pytest.raises(ValueError, match=r"as in Probe\(module, shape=\(3, 224, 224\)\)$"):
        kam.Probe(model)
    assert np.isfinite(kam.explain(kam.Probe(model, shape=(3, 8, 12)), inputs).maps).all()
