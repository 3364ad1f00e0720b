"""Run folders: what they can be used without, and what they record."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

from keras_actmaps.training import run_folder


def test_opening_a_model_does_not_import_the_data_sets():
    code = "import sys; from keras_actmaps.training import runs; print('keras_actmaps.data' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_a_package_under_another_name_has_no_version(monkeypatch):
    def without_tensorflow(package):
        if package == "tensorflow":  # as where tensorflow-cpu is installed
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(run_folder, "version", without_tensorflow)
    packages = [package for package in run_folder.PACKAGES if package != "tensorflow"]
    assert run_folder._versions() == {package: version(package) for package in packages}


def test_columns_that_begin_in_a_later_epoch_are_nan_before(tmp_path):
    folder = run_folder.RunFolder(tmp_path, "d")
    folder.partial.mkdir()
    folder.write_history([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "energy": 0.125}])
    assert (folder.partial / "history.csv").read_text().split() == ["epoch,loss,energy", "1,0.5,nan", "2,0.25,0.125"]
