"""The report of an audit as a page that stands alone."""

import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn")
from auditing.cheating import cheating_model, striped_images

import keras_actmaps as kam


def test_the_page_has_a_card_with_a_picture_for_each_cluster_and_escapes_names(tmp_path):
    images, labels, _ = striped_images(80)
    audit = kam.audit(cheating_model(), (images, labels), names=["<across>", "along"])
    text = audit.report(tmp_path / "new").read_text(encoding="utf-8")
    assert "<across>" not in text and "&lt;across&gt; 1" in text and "http" not in text
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == len(audit.clusters) == text.count('<div class="card')
    drawn = [np.asarray(Image.open(BytesIO(b64decode(one))).convert("RGB")) for one in pictures]
    frames = [(np.abs(picture.astype(int) - [255, 210, 0]).max(-1) < 30).sum() for picture in drawn]
    assert min(frames) >= 32  # pixels of the frames of hot spots
    assert text.count('<div class="card flagged"') == len(audit.flagged) == 1
    assert text.index("along 1 <span") < text.index("&lt;across&gt; 1</h3>")  # the most suspicious first
    for words in ("turn 100 % ", "random patches of the same images turn 0 % "):
        assert words in text.replace("100%", "100 %").replace("0% ", "0 % ")


def test_a_single_image_is_reported(tmp_path):
    images, _, _ = striped_images(1)
    audit = kam.audit(cheating_model(), images)
    assert "not tested" in audit.table() or "Only one class" in audit.table()
    assert audit.report(tmp_path).exists()
