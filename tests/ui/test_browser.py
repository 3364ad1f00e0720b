"""The page in a real browser: the walk of a visitor, uploads, two visitors, a server that is killed.

Set CHROMIUM to the path of a browser where it is not found by its name; without one, or without Playwright, the tests
are skipped. The server is a process of its own, on a run that the fixtures have made, with Keras on the same framework.
"""

import base64
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.uploads import png_of
from PIL import Image

import keras_actmaps as kam

ROOT = Path(__file__).parents[2]
BROWSER = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 120_000  # milliseconds, on a busy machine

pytestmark = [
    pytest.mark.skipif(not BROWSER, reason="no chromium on the path, and CHROMIUM is not set"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield found
        found.close()


class Server:
    """The page on a free port."""

    def __init__(self, *arguments):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            self.port = free.getsockname()[1]
        self.arguments = arguments
        self.start()

    def start(self):
        command = [sys.executable, "explain.py", "--ui", "--port", str(self.port), *map(str, self.arguments)]
        environment = os.environ | {"STREAMLIT_SERVER_HEADLESS": "true"}
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **silent)
        for _ in range(600):
            with socket.socket() as client:
                if client.connect_ex(("localhost", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def stop(self, how=signal.SIGTERM):
        os.killpg(self.process.pid, how)
        self.process.wait(20)

    def address(self, query=""):
        return f"http://localhost:{self.port}/{query}"


@pytest.fixture(scope="module")
def server(run, tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    model = kam.models.cifar_cnn()
    model.save(models / "other.keras")
    found = Server("--runs", run.path.parent, "--models", models)
    yield found
    found.stop()


@pytest.fixture
def visit(browser):
    """A function that opens an address in a window of its own, and fails at the end for errors of its scripts."""
    contexts, errors = [], []

    def opened(address, tab=None, **options):
        context = browser.new_context(viewport={"width": 1280, "height": 1000}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector('[data-testid="stTabs"], [data-testid="stButton"]')
        if tab:
            page.get_by_role("tab", name=tab, exact=True).click()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors


def wait_for_maps(page, count):
    for _ in range(PATIENCE // 100):
        done = page.locator(".card .save:visible").count()
        if done >= count + 1 and not page.locator(".wait:visible").count():  # the image has a card too
            return
        time.sleep(0.1)
    raise AssertionError(f"{done} of {count} maps")


def drawn(page, number):
    """The pixels of a card, at the size of the map."""
    script = "canvas => [canvas.width, canvas.height, canvas.toDataURL()]"
    width, height, address = page.locator(".card canvas").nth(number).evaluate(script)
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB")
    assert image.size == (width, height)
    return np.asarray(image)


def slide(page, name, value):
    page.locator(f'input[name="{name}"]').evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", value
    )


def test_the_walk_of_a_visitor(server, visit, run):
    page = visit(server.address("?image=test:2&methods=gradcam,saliency,gradient_x_input"), "Explain")
    wait_for_maps(page, 3)
    image = next(iter(run.data().test.unbatch().skip(2).batch(1)))[0].numpy()
    e = kam.explain(run.model(), image, "gradcam")

    for opacity, colormap in ((0.5, "turbo"), (0.8, "viridis")):  # sliders act in the browser, and right
        slide(page, "opacity", opacity)
        page.locator("#colormap").select_option(colormap)
        expected = kam.render.overlay(e, image, opacity, colormap)[0]
        factor = drawn(page, 1).shape[0] // 56
        np.testing.assert_allclose(drawn(page, 1)[::factor, ::factor].astype(int), expected.astype(int), atol=6)
    slide(page, "box", 0.4)
    ((box,),) = kam.boxes(e, 0.4)
    canvas, (top, left, bottom, right) = drawn(page, 1), (factor * side for side in box[:4])
    middle = factor // 2
    for line in (canvas[top, left + middle], canvas[bottom - 1, left + middle]):
        assert line.min() > 200  # white above and below
    for line in (canvas[top + middle, left], canvas[top + middle, right - 1]):
        assert line.min() > 200
    slide(page, "box", 0)
    assert canvas[top, left + middle].tolist() != drawn(page, 1)[top, left + middle].tolist()
    assert float(page.locator(".card").nth(1).get_attribute("data-delay")) < 1000

    with page.expect_download() as download:
        page.locator(".card .save").nth(1).click()
    assert download.value.suggested_filename == "gradcam.png"

    page.locator(".card canvas").nth(1).click(position={"x": 100, "y": 100})
    page.get_by_text("What the features at").wait_for()
    page.get_by_text("Take away").click()
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").get_by_text("npz").click()
    found = kam.Explanation.load(download.value.path())
    np.testing.assert_allclose(found.maps, e.maps, rtol=1e-3, atol=1e-5)

    page.get_by_role("tab", name="Compare", exact=True).click()
    page.locator(".am-matrix").wait_for()
    assert page.locator(".am-table tbody tr").count() == 3
    assert page.locator(".chart polyline").count() == 6


def test_a_link_restores_the_view(server, visit):
    page = visit(server.address("?image=test:3&methods=saliency&target=4"), "Explain")
    wait_for_maps(page, 1)
    page.wait_for_function("() => location.search.includes('model=')")
    other = visit(page.url, "Explain")
    wait_for_maps(other, 1)
    np.testing.assert_array_equal(drawn(other, 1), drawn(page, 1))
    assert "saliency" in other.locator(".card .title").nth(1).inner_text()


def test_a_stroke_of_the_brush_moves_the_prediction_and_the_map(server, visit):
    page = visit(server.address("?image=test:1"), "Perturb")
    page.locator(".brush[data-number]").wait_for()
    box = page.locator(".paint").bounding_box()
    before = page.locator(".score").inner_text()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] - 20, steps=6)
    page.mouse.up()
    page.locator(".brush .time", has_text="updated in").wait_for()
    after = page.locator(".score").inner_text()
    assert before != after and "→" in after
    page.locator(".brush .clear").click()
    page.locator(".brush .score", has_text=before).wait_for()


def upload(page, name, content):
    page.get_by_text("Upload or paste").click()
    page.get_by_test_id("stFileUploader").locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "image/png", "buffer": content}
    )


def test_uploads_are_decoded_by_their_content(server, visit):
    pixels = np.zeros((90, 60, 3), "uint8")
    pixels[:30] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", exif=exif)
    page = visit(server.address(), "Choose")
    upload(page, "photo.png", buffer.getvalue())
    page.get_by_text("turned upright").wait_for()
    for name, content, message in (
        ("<b>x</b>.png", b"<script>alert(1)</script>", "cannot be read as an image"),
        ("huge.png", png_of(30_000, 30_000), "900,000,000 pixels"),
        ("cut.png", buffer.getvalue()[: len(buffer.getvalue()) // 2], "damaged"),
    ):
        page = visit(server.address(), "Choose")
        upload(page, name, content)
        page.get_by_text(message).first.wait_for()
        assert page.get_by_text(name).count()  # the name as text, whatever it contains


def test_two_visitors_see_their_own_models(server, visit):
    one = visit(server.address("?model=run:drawn-grid&methods=saliency"), "Explain")
    other = visit(server.address("?model=file:other.keras&methods=gradcam"), "Explain")
    wait_for_maps(one, 1)
    wait_for_maps(other, 1)
    assert one.locator(".card .title").nth(1).inner_text() == "saliency"
    assert other.locator(".card .title").nth(1).inner_text() == "gradcam"
    assert drawn(one, 1).shape[0] % 56 == 0 and drawn(other, 1).shape[0] % 32 == 0


def test_nothing_serious_is_found_by_axe(server, visit):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    page = visit(server.address("?methods=gradcam"), "Explain")
    wait_for_maps(page, 1)
    for tab in ("Explain", "Perturb", "Choose"):
        page.get_by_role("tab", name=tab, exact=True).click()
        time.sleep(1)
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
        page.wait_for_function("() => !document.querySelector('[data-stale=true]')")
        time.sleep(1)
        found = axe.Axe().run(page).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert not serious, (tab, serious)


def test_a_first_visit_trains_the_example_and_a_killed_server_comes_back(visit, tmp_path):
    server = Server("--runs", tmp_path / "runs")
    try:
        page = visit(server.address())
        page.get_by_role("button", name="Train the example").click()
        page.get_by_role("progressbar").first.wait_for()
        if os.environ.get("UI") != "all":  # the training itself takes a minute
            return
        page.get_by_role("tab", name="Explain", exact=True).click(timeout=600_000)
        wait_for_maps(page, 3)
        server.stop(signal.SIGKILL)
        server.start()
        page = visit(page.url, "Explain")
        wait_for_maps(page, 3)
    finally:
        server.stop(signal.SIGKILL)
