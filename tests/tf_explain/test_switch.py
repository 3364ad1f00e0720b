"""activate() and deactivate(), and scripts that are run unchanged from the command line."""

import runpy
import sys
from importlib import import_module

import pytest
import tf_explain

from keras_actmaps import tf_explain as ours
from keras_actmaps.tf_explain import activate, callbacks, core, deactivate, switch


def test_activate_replaces_all_modules_whenever_tf_explain_was_imported():
    before = {name: import_module(name) for name in switch.ORIGINAL_MODULES}
    activate()
    try:
        for name, module in before.items():
            found = import_module(name)
            assert found is not module and found.__name__ == f"keras_actmaps.{name}"
            defined = [each for each, value in vars(module).items() if getattr(value, "__module__", "") == name]
            constants = [each for each in vars(module) if each.isupper()]
            assert vars(found).keys() >= {*defined, *constants}
        assert tf_explain.core.GradCAM is tf_explain.core.grad_cam.GradCAM is core.GradCAM
        assert tf_explain.callbacks is callbacks and tf_explain.utils is ours.utils
        assert tf_explain.__version__ == ours.__version__ == "0.3.1"
        assert isinstance(core.GradCAM(), before["tf_explain.core.grad_cam"].GradCAM)
    finally:
        deactivate()
    assert {name: import_module(name) for name in switch.ORIGINAL_MODULES} == before
    assert tf_explain.core is before["tf_explain.core"]


def test_activate_sets_the_default_of_compatible():
    assert not core.GradCAM().compatible
    activate(compatible=True)
    try:
        assert core.GradCAM().compatible and core.ExtractActivations(8).compatible
        assert not core.GradCAM(compatible=False).compatible
    finally:
        deactivate()
    assert not core.GradCAM().compatible and core.GradCAM(compatible=True).compatible


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script beside a module that it imports; the interpreter's path and arguments are restored afterwards."""
    path = tmp_path / "script.py"
    path.write_text(
        "import sys, beside\nimport tf_explain\nfrom tf_explain.core.smoothgrad import SmoothGrad\n"
        "print(__name__, sys.argv[1:], SmoothGrad.__module__, SmoothGrad().compatible, beside.HERE)\n"
    )
    (tmp_path / "beside.py").write_text("HERE = 1\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    yield path
    deactivate()


@pytest.mark.parametrize("options, compatible", [([], False), (["--compatible"], True)])
def test_a_script_runs_unchanged_from_the_command_line(script, monkeypatch, capsys, options, compatible):
    monkeypatch.setattr(sys, "argv", ["", *options, str(script), "--flag", "7"])
    runpy.run_module("keras_actmaps.tf_explain", run_name="__main__")
    printed = capsys.readouterr().out
    assert printed == f"__main__ ['--flag', '7'] keras_actmaps.tf_explain.core.smoothgrad {compatible} 1\n"


@pytest.mark.parametrize("arguments, name", [(["no.py"], "no.py"), ([], ""), (["--compatible"], "")])
def test_a_missing_script_is_one_line_with_the_usage(monkeypatch, arguments, name):
    monkeypatch.setattr(sys, "argv", ["", *arguments])
    message = f"script '{name}' does not exist; usage: python -m keras_actmaps.tf_explain"
    with pytest.raises(SystemExit, match=message):
        runpy.run_module("keras_actmaps.tf_explain", run_name="__main__")
