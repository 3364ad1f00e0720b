"""explain.py --audit: what it writes over a split, and what does not go with it."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from keras_actmaps.auditing.record import Audit


def test_the_report_the_table_and_the_record_are_written(run, tmp_path, explain_command):
    out = tmp_path / "out"
    status, stdout, stderr = explain_command(
        "--run", run.path, "--output", out, "--audit", "--limit", 12, "-s", "rule=z+"
    )
    assert (status, stderr) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == ["audit.html", "audit.npz", "audit.txt"]
    audit = Audit.load(out / "audit.npz")
    assert len(audit) == 12 and audit.about["method"] == "lrp" and audit.about["settings"]["rule"] == "'z+'"
    assert audit.table() in stdout and (out / "audit.txt").read_text() == audit.table()
    images, labels, _ = next(run.data().truth("test").unbatch().batch(12).as_numpy_iterator())
    np.testing.assert_array_equal(audit.predicted, run.model().predict(images, verbose=0).argmax(-1))
    np.testing.assert_array_equal(audit.labels, labels)
    assert all(0 <= cluster.on_object <= 1 for cluster in audit.clusters)  # the grid has masks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--index", 3], "--index does not fit --audit"),
        (["--target", 3], "--target does not fit --audit"),
        (["--metrics", "all"], "--metrics needs --compare"),
        (["--compare"], "--audit cannot be combined with --compare or --all"),
    ],
)
def test_what_does_not_go_with_an_audit_is_one_line(run, tmp_path, explain_command, arguments, message):
    status, _, stderr = explain_command("--run", run.path, "--output", tmp_path, "--audit", "gradcam", *arguments)
    assert status == 2 and message in stderr and stderr.count("\n") == 1
