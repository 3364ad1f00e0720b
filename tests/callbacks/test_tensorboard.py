"""Event files, read by TensorBoard's own reader."""

import sys

import cv2
import numpy as np
import pytest
from helpers.event_files import decode, read_events
from helpers.fits import compiled, fit, load, make_callback, network

pytest.importorskip("tensorboardX")


def test_tensorboard_reads_pictures_histograms_and_scalars(data, tmp_path):
    callback = make_callback(data, tmp_path / "out", "saliency", tensorboard=tmp_path / "board", channels="sum")
    history = fit(compiled(network()), data, callback, epochs=2).history
    (path,) = (tmp_path / "board").iterdir()
    assert "tfevents" in path.name
    reader = read_events(tmp_path / "board")
    tags = reader.Tags()
    assert tags["images"] == ["saliency/images"] and tags["histograms"] == ["saliency/maps"]
    assert tags["scalars"] == ["saliency/energy_pointing"] and reader.file_version == 2.0
    events = zip(reader.Images("saliency/images"), reader.Histograms("saliency/maps"), strict=True)
    for number, (image, event) in enumerate(events, 1):
        picture, histogram = decode(image), event.histogram_value
        assert (image.step, event.step) == (number, number)
        np.testing.assert_array_equal(picture, cv2.imread(str(tmp_path / "out" / f"epoch-00{number}.png")))
        assert (image.height, image.width) == picture.shape[:2]
        values = load(tmp_path / "out", number).maps.astype("float64")
        assert histogram.num == sum(histogram.bucket) == values.size
        np.testing.assert_allclose(
            [histogram.min, histogram.max, histogram.sum, histogram.sum_squares],
            [values.min(), values.max(), values.sum(), (values**2).sum()],
        )
        first, *inner, last = np.cumsum(histogram.bucket)
        assert (first, last) == (0, values.size)
        np.testing.assert_array_equal(inner, [(values < limit).sum() for limit in histogram.bucket_limit[1:-1]])
    scalars = reader.Scalars("saliency/energy_pointing")
    assert [scalar.step for scalar in scalars] == [1, 2]
    np.testing.assert_allclose([scalar.value for scalar in scalars], history["saliency_energy_pointing"], rtol=1e-6)


def test_two_writers_of_one_folder_write_two_files(tmp_path):
    from keras_actmaps.core.event_files import EventWriter

    first, second = EventWriter(tmp_path), EventWriter(tmp_path)
    grays = np.arange(12, dtype="uint8").reshape(3, 4)
    first.add(1, {"a tag": grays})
    second.add(2, {"another": np.stack([grays, grays + 1, grays + 2], axis=-1)})
    assert len(list(tmp_path.iterdir())) == 2
    images = read_events(tmp_path)  # readable while the files are open
    np.testing.assert_array_equal(decode(images.Images("a tag")[0])[..., 0], grays)
    (image,) = images.Images("another")
    np.testing.assert_array_equal(decode(image)[0, 1, ::-1], [1, 2, 3])
    first.close()
    second.close()
    first.close()
    first.add(3, {"a tag": grays})
    assert len(list(tmp_path.iterdir())) == 3
    first.close()


def test_without_tensorboardx_the_error_names_the_extra(data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.delitem(sys.modules, "keras_actmaps.core.event_files", raising=False)
    with pytest.raises(ImportError, match=r"not installed: pip install keras_actmaps\[tensorboard\]"):
        make_callback(data, tmp_path, tensorboard=tmp_path)
