"""The page in a browser: time from click to map, from slider to picture, from stroke to picture; memory of the server.

    python -m benchmarks.ui [--runs runs] [--models DIR] [--visitors 4] [--explanations 200]

It needs Playwright and Chromium (on the path, or $CHROMIUM), a run in `--runs`, and for the brush a model file named
`mobilenet...keras` in the folder of `--models`. Memory is the resident memory of the server's process, on Linux.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 300_000  # milliseconds


def main() -> None:
    """Print the measured times and the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--models", default="models")
    parser.add_argument("--visitors", type=int, default=4)
    parser.add_argument("--explanations", type=int, default=200)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    address = f"http://localhost:{port}/"
    words = ["explain.py", "--ui", "--port", str(port), "--runs", options.runs, "--models", options.models]
    environment = os.environ | {"STREAMLIT_SERVER_HEADLESS": "true"}
    server = subprocess.Popen([sys.executable, *words], env=environment, stdout=subprocess.DEVNULL)
    try:
        _until(lambda: _answers(port))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_browser(), args=["--no-sandbox"])
            print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            _measure(browser, address, sorted(Path(options.models).glob("mobilenet*.keras")))
            _memory(browser, address, server.pid, options.visitors, options.explanations)
            browser.close()
    finally:
        server.terminate()
        server.wait(20)


def _browser() -> str | None:
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("localhost", port)) == 0


def _until(condition: Callable[[], Any]) -> float:
    """The seconds until a condition holds."""
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > PATIENCE / 1000:
            raise TimeoutError("the page does not answer")
        time.sleep(0.01)
    return time.perf_counter() - started


def _visit(browser: Any, address: str, query: str, tab: str) -> Any:
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}?{query}")
    page.wait_for_selector('[data-testid="stTabs"]')
    page.get_by_role("tab", name=tab, exact=True).click()
    return page


def _wait_for_map(page: Any, note: str = "") -> float:
    """The seconds until the first map is drawn, of another image than that of `note`."""

    def is_drawn() -> bool:
        saves = page.locator(".card .save:visible").count()
        return saves > 1 and page.locator(".card .note").first.inner_text() != note

    return _until(is_drawn)


def _measure(browser: Any, address: str, models: list[Path]) -> None:
    """The times of one visitor."""
    page = _visit(browser, address, "image=test:0&methods=gradcam", "Explain")
    print(f"first map of the server, model and compilation included: {_wait_for_map(page):.2f} s")
    seconds = []
    for number in range(1, 8):
        page.get_by_role("tab", name="Choose", exact=True).click()
        picture = page.locator(".gallery button").nth(number)
        picture.wait_for()
        note = f"test image {number - 1}"
        picture.click()
        _until(lambda picture=picture: picture.get_attribute("aria-pressed") == "true")
        page.get_by_role("tab", name="Explain", exact=True).click()
        seconds.append(_wait_for_map(page, note))
    print(f"from the click on Explain to the map of another image: median {statistics.median(seconds):.2f} s")
    delays = []
    for step in range(1, 20):
        page.locator('input[name="opacity"]').evaluate(
            "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", step / 20
        )
        delays.append(float(page.locator(".card").nth(1).get_attribute("data-delay")))
    print(
        f"from slider to picture, in the browser: median {statistics.median(delays):.1f} ms, largest {max(delays):.1f}"
    )
    page.close()
    for model in models:
        page = _visit(browser, address, f"model=file:{model.name}", "Perturb")
        page.locator(".brush[data-number]").wait_for()
        print(f"from stroke to picture, {model.stem}: median {statistics.median(_strokes(page)):.0f} ms")
        page.close()


def _strokes(page: Any) -> list[float]:
    delays = []
    box = page.locator(".paint").bounding_box()
    for number in range(10):
        brush = page.locator(".brush")
        brush.evaluate("brush => { delete brush.dataset.delay; }")
        y = box["y"] + box["height"] * (0.05 + 0.09 * number)
        page.mouse.move(box["x"] + 30, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 120, y, steps=4)
        page.mouse.up()
        _until(lambda brush=brush: brush.get_attribute("data-delay"))
        delays.append(float(brush.get_attribute("data-delay")))
    return delays


def _memory(browser: Any, address: str, process: int, visitors: int, explanations: int) -> None:
    """The memory of the server as visitors explain one image after the other."""
    pages = [_visit(browser, address, f"image=test:{number}&methods=gradcam", "Explain") for number in range(visitors)]
    for page in pages:
        _wait_for_map(page)
    print(f"memory with {visitors} visitors: {_resident(process):,.0f} MiB")
    for number in range(explanations):
        page = pages[number % visitors]
        page.goto(f"{address}?image=test:{number % 200}&methods=gradcam")
        page.wait_for_selector('[data-testid="stTabs"]')
        page.get_by_role("tab", name="Explain", exact=True).click()
        _wait_for_map(page)
        if (number + 1) % max(1, explanations // 4) == 0:
            print(f"memory after {number + 1} explanations: {_resident(process):,.0f} MiB", flush=True)


def _resident(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
