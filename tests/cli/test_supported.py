"""explain.py --supported prints what `kam.supported` says of a model, and does nothing else."""

import keras
import numpy as np
import pytest
from helpers import gap_network
from helpers.zoo import example

import keras_actmaps as kam


def printed(stdout):
    """{method: None or the reason} of the lines about methods."""
    lines = [line.split(None, 1) for line in stdout.splitlines()]
    return {name: None if reason == "yes" else reason for name, reason in lines if name in kam.METHODS}


@pytest.mark.parametrize("kind", ["functional", "ConvNeXt-like", "table", "LSTM"])
def test_a_model_file(explain_command, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    model = example(kind)[0]
    model.save("model.keras")
    status, stdout, stderr = explain_command("--model", "model.keras", "--supported")
    assert (status, stderr) == (0, "")
    assert printed(stdout) == dict(kam.supported(keras.models.load_model("model.keras")))
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_a_layer(explain_command, tmp_path):
    gap_network().save(tmp_path / "model.keras")
    arguments = ("--model", tmp_path / "model.keras", "--supported", "--layer")
    for layer in ("conv1", 1):
        reason = printed(explain_command(*arguments, layer).stdout)["cam"]
        assert reason.startswith("cam needs only global average pooling and linear layers behind layer 'conv1'")
    status, stdout, stderr = explain_command(*arguments, "nothing")
    assert status == 2 and "no spatial layer 'nothing'" in stderr and not printed(stdout)


def test_without_a_run_or_a_model_there_is_one_line(explain_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, stderr = explain_command("--supported")
    assert status == 2 and stderr.count("\n") == 1


def test_what_it_prints_is_what_happens(explain_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, inputs, _ = example("ConvNeXt-like")
    model.save("model.keras")
    for method, reason in printed(explain_command("--model", "model.keras", "--supported").stdout).items():
        if reason is not None:
            with pytest.raises(ValueError) as error:
                kam.explain(model, np.asarray(inputs), method)
            assert str(error.value) == reason
