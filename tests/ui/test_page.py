"""The page as its script draws it: views, links and messages. The browser's part is in test_browser.py."""

import time

import keras
import numpy as np
import pytest

import keras_actmaps as kam


def finished(app):
    """The jobs of the page's session, once all are finished and the page has drawn their maps."""
    for _ in range(200):
        jobs = list(app.session_state["actmaps"].jobs.values())
        if all(job.is_finished for job in jobs):
            if jobs:
                app.run()  # the last one may have finished after the last run of the script
            return jobs
        time.sleep(0.05)
        app.run()
    raise AssertionError([job.state for job in jobs])


def explained(page, **query):
    app = page(**query)
    app.session_state["tab"] = "Explain"
    app.run()
    assert not app.exception
    return app, finished(app)


def test_a_first_visit_without_a_run_offers_to_train_the_example(page, tmp_path):
    app = page(runs=tmp_path / "none").run()
    assert not app.exception and [button.label for button in app.button] == ["Train the example"]
    app = page("--read-only", runs=tmp_path / "none").run()
    assert not app.exception and not app.button and "No model is available" in app.info[0].value


def test_the_newest_run_and_its_first_image_are_shown_without_a_choice(page):
    app = page().run()
    view = app.session_state["actmaps"].view
    assert not app.exception and (view.model, view.image) == ("run:drawn-grid", "test:0")


def test_the_maps_of_the_page_are_those_of_explain(page, run):
    query = {"image": "test:3", "target": "2", "minus": "5", "methods": "gradcam,occlusion", "layer": "conv2"}
    app, jobs = explained(page, **query, settings='{"occlusion":{"patch":"12"}}')
    image = next(iter(run.data().test.unbatch().skip(3).batch(1)))[0].numpy()
    target = kam.targets.Difference(2, 5)
    for job, (method, layer, settings) in zip(jobs, [("gradcam", "conv2", {}), ("occlusion", None, {"patch": 12})]):
        expected = kam.explain(run.model(), image, method, target, layer, **settings)
        np.testing.assert_allclose(job.result.maps, expected.maps, rtol=1e-4, atol=1e-6)
        assert job.result.layer == layer
    assert "--target 2-5 --layer conv2 --method occlusion -s patch=12" in app.code[0].value


def test_the_python_lines_of_the_page_compute_its_map(page):
    app, jobs = explained(page, image="test:5", methods="saliency", settings='{"saliency":{"channels":"sum"}}')
    names = {}
    exec(app.code[1].value, names)
    np.testing.assert_allclose(names["saliency"].maps, jobs[0].result.maps, rtol=1e-4, atol=1e-7)


def test_a_malformed_link_shows_the_default_view(page):
    query = {"model": "file:../../etc/passwd", "image": "test:-1", "methods": "<script>,nothing", "target": "1e9"}
    app, jobs = explained(page, **query, settings='{"gradcam":[1]}', look='{"opacity":"x"}')
    assert app.session_state["actmaps"].view.image == "test:0" and not jobs
    assert "is not available here" in app.warning[0].value


def test_two_visitors_do_not_see_each_other(page):
    one, first = explained(page, image="test:1", methods="gradcam")
    other, second = explained(page, image="test:2", methods="gradcam,saliency")
    assert (len(first), len(second)) == (1, 2)
    assert one.session_state["actmaps"].view.image == "test:1"
    assert other.session_state["actmaps"].view.image == "test:2"
    assert not np.allclose(first[0].result.maps, second[0].result.maps)


def test_a_setting_that_is_not_allowed_is_reported_and_left_out(page):
    app = page(methods="occlusion")
    app.session_state["tab"] = "Explain"
    app.run().text_input(key="set-occlusion-patch").set_value("-3").run()
    assert "patch must be" in app.error[0].value and not app.exception
    assert [key.settings for key in app.session_state["actmaps"].jobs] == [()]


def test_another_image_stops_what_is_still_computed(page):
    app = page(methods="rise", settings='{"rise":{"samples":"1000000"}}')
    app.session_state["tab"] = "Explain"
    app.run()
    (job,) = app.session_state["actmaps"].jobs.values()
    app.session_state["actmaps"].change(image="test:4", methods=("gradcam",), settings={})
    app.session_state["methods"] = ["gradcam"]
    app.run()
    for _ in range(100):
        if job.is_finished:
            break
        time.sleep(0.05)
    assert job.state == "stopped"


def opened(page, tab, **query):
    """The page at a tab, once nothing is computed any more."""
    app = page(**query)
    app.session_state["tab"] = tab
    app.run()
    for _ in range(200):
        jobs = list(app.session_state["actmaps"].jobs.values())
        count = len(jobs)
        if all(job.is_finished for job in jobs):
            app.run()
            if count == len(app.session_state["actmaps"].jobs):
                break
        time.sleep(0.05)
    assert not app.exception
    return app


def test_the_metrics_of_the_page_are_those_of_the_package(page, run):
    app = opened(page, "Compare", methods="gradcam,saliency")
    measured = {
        key[1].method: job.result for key, job in app.session_state["actmaps"].jobs.items() if type(key) is tuple
    }
    assert set(measured) == {"gradcam", "saliency"}
    image = next(iter(run.data().test.unbatch().batch(1)))[0].numpy()
    e = kam.explain(run.model(), image, "saliency")
    assert measured["saliency"].values["deletion"] == pytest.approx(
        kam.metrics.deletion(run.model(), image, e)[0], rel=1e-3
    )
    assert measured["saliency"].values["sparseness"] == pytest.approx(kam.metrics.sparseness(e)[0], rel=1e-4)
    curve = kam.metrics.insertion_curve(run.model(), image, e, steps=28)[0]
    np.testing.assert_allclose(measured["saliency"].insertion, curve, rtol=1e-3)


@pytest.mark.parametrize("tab", ["Choose", "Perturb", "Inside", "Training", "Audit"])
def test_every_tab_opens(page, tab):
    app = opened(page, tab, methods="gradcam")
    assert not app.error and len(app.tabs) == 7


def test_another_class_and_another_setting_are_computed_at_once(page, run):
    app, _ = explained(page, methods="saliency")
    app.selectbox(key="target").set_value("7").run()
    app.selectbox(key="minus").set_value("1").run()
    app.selectbox(key="set-saliency-channels").set_value("sum").run()
    (job,) = [job for job in finished(app) if job.key.settings]
    image = next(iter(run.data().test.unbatch().batch(1)))[0].numpy()
    expected = kam.explain(run.model(), image, "saliency", kam.targets.Difference(7, 1), channels="sum")
    np.testing.assert_allclose(job.result.maps, expected.maps, rtol=1e-4, atol=1e-7)
    assert (app.query_params["target"], app.query_params["minus"]) == ("7", "1")


def test_a_model_of_tokens_is_explained_by_the_numbers_of_tokens(page, tmp_path):
    keras.utils.set_random_seed(0)
    tokens = keras.Input((6,), dtype="int32")
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(20, 5)(tokens))
    model = keras.Model(tokens, keras.layers.Dense(3)(x))
    model.save(tmp_path / "words.keras")
    query = {"model": "file:words.keras", "image": "text:4 9 2 7", "methods": "gradient_x_input", "target": "1"}
    app = page("--models", str(tmp_path), **query)
    app.session_state["tab"] = "Explain"
    app.run()
    assert not app.exception and not app.error
    (job,) = finished(app)
    expected = kam.explain(model, np.array([[4, 9, 2, 7, 0, 0]], "int32"), "gradient_x_input", 1)
    np.testing.assert_allclose(job.result.maps, expected.maps, rtol=1e-5)
