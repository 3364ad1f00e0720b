"""The structure of the package: imports point down, no circles, frameworks and drawing only where they belong."""

import ast
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "keras_actmaps"
LAYERS = (  # from the ground up; the folders of the package
    *("backend", "core", "data", "models", "training", "render", "methods", "features", "metrics"),
    *("comparison", "auditing", "tf_explain", "callbacks", "bulk", "ui", "cli"),
)
FRAMEWORKS = {"tensorflow", "tensorflow_datasets", "jax", "torch", "tf_explain", "tensorboardX", "ray", "streamlit"}
MAY_NAME_A_FRAMEWORK = ("backend/", "data/", "tf_explain/", "bulk/", "ui/", "core/event_files.py")


def files():
    return sorted(PACKAGE.rglob("*.py"))


def dotted(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {dotted(path): path for path in files()}
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files()}


def imported(path, nodes=None):
    """The full names of the modules that a file imports, wherever in it."""
    for node in nodes or ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(path):
    """The modules of this package that a file imports; a folder where something of its `__init__` is imported."""
    found = set()
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keras_actmaps"):
            folder = node.module.removeprefix("keras_actmaps").removeprefix(".")
            for alias in node.names:
                inside = f"{folder}.{alias.name}".removeprefix(".")
                found.add(inside if inside in MODULES else folder)
    return found & MODULES.keys()


def test_the_top_of_the_package_is_small_and_every_folder_has_a_layer():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert len(folders) <= 16 and folders <= set(LAYERS)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module):
    folder = module.partition(".")[0]
    if folder not in LAYERS:
        return
    above = [name for name in own(MODULES[module]) if LAYERS.index(name.partition(".")[0]) > LAYERS.index(folder)]
    assert not above


def test_no_module_imports_itself_through_others():
    """Inside folders too. A folder's `__init__` that collects its files is not imported by these files by name."""
    graph = {module: own(path) - {module} for module, path in MODULES.items()}
    finished, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in finished:
            return
        path.append(module)
        for other in sorted(graph[module]):
            visit(other)
        finished.add(path.pop())

    for module in graph:
        visit(module)


@pytest.mark.parametrize("path", files(), ids=dotted)
def test_only_some_files_name_a_framework_or_draw(path):
    place = path.relative_to(PACKAGE).as_posix()
    at_import_time = {name.partition(".")[0] for name in imported(path, TREES[path].body)}
    if not place.startswith(MAY_NAME_A_FRAMEWORK):
        assert not at_import_time & FRAMEWORKS
    if not place.startswith(("render/", "ui/")):
        assert "matplotlib" not in {name.partition(".")[0] for name in imported(path)}


@pytest.mark.parametrize("path", files(), ids=dotted)
def test_private_keras_is_reached_in_one_file(path):
    if path.name == "_keras_compat.py":
        return
    assert not any(name.startswith("keras.src") for name in imported(path))
    private = {  # of Keras' layers, models, functions and tensors
        *(
            "_flatten_layers",
            "_functional",
            "_nodes_by_depth",
            "_outputs_struct",
            "_build_shapes_dict",
            "_dtype_policy",
        ),
        *("_inbound_nodes", "_outbound_nodes", "_keras_history", "_call_has_training_arg", "_compute_causal_padding"),
    }
    used = {node.attr for node in ast.walk(TREES[path]) if isinstance(node, ast.Attribute)}
    written = {node.arg for node in ast.walk(TREES[path]) if isinstance(node, ast.keyword)}
    assert not (used | written) & private


@pytest.mark.parametrize("path", [*files(), ROOT / "train.py", ROOT / "explain.py"], ids=lambda path: path.stem)
def test_no_assert_in_the_package(path):
    tree = TREES.get(path) or ast.parse(path.read_text(encoding="utf-8"))
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree))


def test_importing_the_package_loads_no_framework():
    heavy = ("keras", "numpy", "tensorflow", "matplotlib")
    code = f"import sys, keras_actmaps; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "[]\n"


PUBLIC = (
    *("METHODS", "Explanation", "ExplainCallback", "Probe", "ascent", "audit", "boxes", "compare", "data", "exemplars"),
    *(
        "Maps",
        "explain",
        "explain_all",
        "explain_dataset",
        "feature_maps",
        "metrics",
        "models",
        "pooling",
        "render",
        "tf_explain",
        "training",
    ),
)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_importable(name):
    import keras_actmaps as kam

    if name in ("data", "training"):
        pytest.importorskip("tensorflow")
    if name == "tf_explain" and keras.backend.backend() != "tensorflow":
        pytest.skip("tf_explain's classes need Keras on TensorFlow")
    assert name in dir(kam) and getattr(kam, name) is not None
