"""explain.py --model FILE --inputs FILE: tables, series, volumes and several inputs, as from Python."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import keras_actmaps as kam


def table():
    return keras.Sequential([keras.Input((5,)), layers.Dense(4, "relu"), layers.Dense(3)])


def series():
    return keras.Sequential(
        [keras.Input((12, 2)), layers.Conv1D(4, 3, activation="relu"), layers.GlobalAveragePooling1D(), layers.Dense(3)]
    )


def volume():
    return keras.Sequential(
        [
            keras.Input((5, 6, 7, 1)),
            layers.Conv3D(4, 3, activation="relu"),
            layers.GlobalMaxPooling3D(),
            layers.Dense(2),
        ]
    )


def two():
    image, row = keras.Input((8, 6, 3), name="image"), keras.Input((4,), name="row")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, activation="relu")(image))
    return keras.Model({"image": image, "row": row}, layers.Dense(2)(layers.Concatenate()([x, row])))


MODELS = {"table": table, "series": series, "volume": volume, "two": two}


def values_for(model):
    random = np.random.default_rng(0)
    if len(model.inputs) > 1:
        return {part.name: random.random((2, *part.shape[1:]), "float32") for part in model.inputs}
    return random.random((2, *model.input_shape[1:]), "float32")


@pytest.mark.parametrize("kind", MODELS)
def test_maps_are_those_of_explain(kind, explain_command, tmp_path):
    keras.utils.set_random_seed(0)
    model = MODELS[kind]()
    model.save(tmp_path / "model.keras")
    values = values_for(model)
    if kind == "table":
        file = tmp_path / "values.csv"
        np.savetxt(file, values, delimiter=",", header="a,b,c,d,e", comments="")
    elif kind == "two":
        file = tmp_path / "values.npz"
        np.savez(file, **values)
    else:
        file = tmp_path / "values.npy"
        np.save(file, values)
    output = tmp_path / "out"
    result = explain_command(
        "--model", tmp_path / "model.keras", "--inputs", file, "--method", "saliency,occlusion", "--output", output
    )
    assert result.status == 0, result.stderr
    for method in ("saliency", "occlusion"):
        e, expected = kam.Explanation.load(output / f"{method}.npz"), kam.explain(model, values, method)
        keras.tree.map_structure(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), e.maps, expected.maps)
        with Image.open(output / f"{method}.png") as picture:
            assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 20
    assert result.stdout.count("logit") == 4


def test_bad_files_get_one_line(explain_command, tmp_path):
    table().save(tmp_path / "model.keras")
    (tmp_path / "words.csv").write_text("1,2,3,4,5\n1,2,x,4,5\n")
    (tmp_path / "short.csv").write_text("1,2,3,4,5\n1,2\n")
    np.save(tmp_path / "objects.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "many.npz", a=np.ones((1, 5)), b=np.ones((1, 5)))
    (tmp_path / "file.txt").write_text("1,2,3,4,5")
    cases = {
        "words.csv": "'x' is not a number",
        "short.csv": "the rows differ in length",
        "objects.npy": "allow_pickle=False",
        "many.npz": "has a single input",
        "file.txt": "must end in .npy, .npz or .csv",
        "missing.csv": "No such file",
    }
    for name, message in cases.items():
        result = explain_command("--model", tmp_path / "model.keras", "--inputs", tmp_path / name, "--output", tmp_path)
        assert result.status == 2 and message in result.stderr and result.stderr.count("\n") == 1, name
    for more, message in ((["--compare"], "--compare draws images"), (["--boxes"], "--boxes needs images")):
        arguments = ["--model", tmp_path / "model.keras", "--inputs", tmp_path / "words.csv", "--output", tmp_path]
        (tmp_path / "words.csv").write_text("1,2,3,4,5\n")
        result = explain_command(*arguments, "--method", "saliency", *more)
        assert result.status == 2 and message in result.stderr
