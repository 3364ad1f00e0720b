"""The house: imports point downwards, one framework room, one drawing room."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = [  # from the ground up; a room may import from lower layers and from its own folder
    {"engine", "explanation", "resize", "data.sources", "data.records", "data.drawn"},
    {"rewire", "render", "data", "streams", "given", "localize"},
    {"probe", "models", "table"},
    {"rules", "runs", "progress"},
    {"methods", "training"},
    {"api"},
    {"subjects", "inside", "metrics"},
    {"question", "comparing"},
    {"looks", "maps", "side_by_side", "during", "tf_explain", "originals"},
    {"asking", "commands", "callbacks"},
    {"__init__"},
]
FRAMEWORKS = {"tensorflow", "tensorflow_datasets", "jax", "torch"}
ROOMS = ("engine/", "data/", "during/events.py", "tf_explain/callbacks/writing.py")  # that may name a framework
DRAWS = ("render/", "ui/")


def files():
    return sorted((ROOT / "keras_actmaps").rglob("*.py"))


def name_of(path):
    parts = path.relative_to(ROOT / "keras_actmaps").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "__init__"


def imported(path):
    """Every module that a file imports, in full."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(module):
    found = [level for level, rooms in enumerate(LAYERS) if module in rooms]
    return found[0] if found else layer_of(module.rpartition(".")[0])


def own(path):
    """The rooms of this package that a file imports."""
    rooms = {name_of(other) for other in files()}
    found = {module.removeprefix("keras_actmaps.") for module in imported(path) if module.startswith("keras_actmaps.")}
    return found & rooms


def test_every_room_has_its_place():
    for path in files():
        assert layer_of(name_of(path)) is not None


def test_imports_point_downwards():
    wrong = [
        f"{name_of(path)} imports {room}"
        for path in files()
        for room in own(path)
        if layer_of(room) >= layer_of(name_of(path))
        and room.partition(".")[0] != name_of(path).partition(".")[0]
    ]  # fmt: skip
    assert not wrong


def test_render_knows_only_the_explanation_and_data_nothing_of_methods():
    for path in files():
        if name_of(path).partition(".")[0] == "render":
            assert {room.partition(".")[0] for room in own(path)} <= {"explanation", "render"}
        if name_of(path).partition(".")[0] in ("data", "models", "training", "runs"):
            assert not own(path) & {"api", "probe", "rewire", "rules"}
            assert not any(room.startswith("methods") for room in own(path))


def test_only_some_rooms_name_a_framework_or_draw():
    for path in files():
        place = path.relative_to(ROOT / "keras_actmaps").as_posix()
        roots = {module.partition(".")[0] for module in imported(path) if module}
        if not place.startswith(ROOMS):
            assert not roots & FRAMEWORKS, place
        if not place.startswith(DRAWS):
            assert "matplotlib" not in roots, place


def test_importing_the_package_loads_no_framework():
    code = "import sys, keras_actmaps; print([m for m in ('keras', 'tensorflow', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "[]\n"


def test_no_assert_in_the_package():
    for path in [*files(), ROOT / "train.py", ROOT / "explain.py"]:
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text()))), path
