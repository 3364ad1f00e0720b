"""Explanation: saving and loading, files written whole or not at all, indexing."""

import os
import pickle
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from keras_actmaps import Explanation


def explanation(**changes):
    arrays = {
        "maps": np.arange(24, dtype="float32").reshape(2, 3, 4),
        "targets": np.array([1, 2]),
        "scores": np.array([0.5, 1.5], "float32"),
    }
    words = {"method": "lrp", "layer": "a/b", "settings": {"steps": 8, "box": np.array([0, 1]), "of": len}}
    return Explanation(**{**arrays, **words, "versions": {"keras": "3"}, **changes})


@pytest.mark.parametrize("residual", [None, np.array([0.1, -0.1], "float32")])
def test_load_gives_back_what_was_saved(tmp_path, residual):
    saved = explanation(residual=residual)
    saved.save(tmp_path / "maps.npz")
    loaded = Explanation.load(tmp_path / "maps.npz")
    for name in ("maps", "targets", "scores"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(saved, name))
        assert getattr(loaded, name).dtype == getattr(saved, name).dtype
    assert (loaded.residual is None) == (residual is None)
    assert (loaded.method, loaded.layer) == ("lrp", "a/b")
    assert loaded.settings == {"steps": 8, "box": [0, 1], "of": "len"}
    assert [path.name for path in tmp_path.iterdir()] == ["maps.npz"]


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    explanation().save(tmp_path / "maps.npz")
    before = (tmp_path / "maps.npz").read_bytes()

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        explanation().save(tmp_path / "maps.npz")
    assert (tmp_path / "maps.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["maps.npz"]


@pytest.mark.parametrize("content", [b"", b"text", "other"])
def test_other_files_are_named_in_the_error(tmp_path, content):
    path = tmp_path / "other.npz"
    if content == "other":
        np.savez(path, a=np.ones(2))
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other.npz' is not a saved explanation"):
        Explanation.load(path)


def test_maps_of_a_function_have_no_targets(tmp_path):
    explanation(targets=None).save(tmp_path / "maps.npz")
    assert Explanation.load(tmp_path / "maps.npz").targets is None


def test_indexing_selects_images():
    e = explanation(residual=np.array([0.1, -0.1], "float32"))
    np.testing.assert_array_equal(e[1].maps, e.maps[1:])
    assert (len(e[1]), e[1].targets.tolist(), e[-1].residual.tolist()) == (1, [2], e.residual[1:].tolist())
    np.testing.assert_array_equal(e[:1].scores, e.scores[:1])
    np.testing.assert_array_equal(e[np.array([1, 0])].maps, e.maps[::-1])


def test_pickle_keeps_everything():
    e = pickle.loads(pickle.dumps(explanation()))
    np.testing.assert_array_equal(e.maps, explanation().maps)
    assert (e.method, e.layer) == ("lrp", "a/b")


def test_threads_may_save_to_one_path_and_to_several(tmp_path):
    parts = [explanation(maps=np.full((2, 3, 4), number, "float32")) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        one = [threads.submit(part.save, tmp_path / "one.npz") for part in parts * 4]
        own = [threads.submit(part.save, tmp_path / f"{number}.npz") for number, part in enumerate(parts)]
        assert all(job.result().suffix == ".npz" for job in one + own)
    assert len(np.unique(Explanation.load(tmp_path / "one.npz").maps)) == 1
    for number in range(8):
        np.testing.assert_array_equal(Explanation.load(tmp_path / f"{number}.npz").maps, parts[number].maps)
    assert len(list(tmp_path.iterdir())) == 9


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_files_have_the_umask_of_the_process_which_is_never_set(tmp_path, monkeypatch):
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "umask", None)
            explanation().save(tmp_path / "maps.npz")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "maps.npz").stat().st_mode) == 0o640


def test_repr_is_one_short_line_whatever_the_number_of_maps():
    text = "Explanation(method='lrp', layer='a/b', N=2, space=(3, 4), targets=[1, 2])"
    assert repr(explanation()) == text
    many = explanation(maps=np.ones((9, 2, 5)), targets=np.arange(18).reshape(9, 2), scores=np.ones((9, 2)))
    assert repr(many) == "Explanation(method='lrp', layer='a/b', N=9, K=2, space=(5,), targets=[0, 1, 2, 3, ...])"
    several = explanation(maps={"a": np.ones((2, 5)), "b": np.ones((2, 3, 3))}, targets=None)
    assert "space={'a': (5,), 'b': (3, 3)}, targets=None)" in repr(several)


@pytest.mark.parametrize("suffix", ["tif", "TIFF"])
def test_a_tiff_has_a_page_per_map(tmp_path, suffix):
    maps = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    explanation(maps=maps, scores=np.ones((2, 3))).save(tmp_path / f"maps.{suffix}")
    with Image.open(tmp_path / f"maps.{suffix}") as file:
        pages = []
        for page in range(file.n_frames):
            file.seek(page)
            pages.append(np.asarray(file))
    np.testing.assert_array_equal(pages, maps.reshape(6, 5, 4))
    with pytest.raises(ValueError, match="are no images"):
        explanation(maps=np.ones((2, 5))).save(tmp_path / "table.tiff")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_a_volume_is_read_by_nibabel(tmp_path, suffix):
    nibabel = pytest.importorskip("nibabel")
    maps = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype("float32")
    both, one = explanation(maps=maps), explanation(maps=maps)[1]
    np.testing.assert_array_equal(nibabel.load(both.save(tmp_path / f"2.{suffix}")).get_fdata(), maps.T)
    np.testing.assert_array_equal(nibabel.load(one.save(tmp_path / f"1.{suffix}")).get_fdata(), maps[1].T)
    assert ((tmp_path / f"1.{suffix}").read_bytes()[:2] == b"\x1f\x8b") == (suffix == "nii.gz")
    with pytest.raises(ValueError, match="NIfTI needs maps of volumes"):
        explanation().save(tmp_path / f"image.{suffix}")


def test_nifti_without_nibabel_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with pytest.raises(ImportError, match=r"pip install 'keras_actmaps\[medical\]'"):
        explanation(maps=np.ones((2, 3, 5, 4))).save(tmp_path / "maps.nii")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["maps.jpg", "maps", "maps.gz"])
def test_an_unknown_suffix_names_the_choices(tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in \.npz, in \.npy, \.tif, \.tiff, \.nii or \.nii\.gz .* in \.png"):
        explanation().save(tmp_path / name)
