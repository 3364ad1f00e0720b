"""Every block of Python in the README and the documentation runs; links lead somewhere; commands parse."""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import matplotlib
import pytest
from helpers.pages import LANGUAGES, PAGES, ROOT, anchors, blocks, name, prose

from keras_actmaps.cli.options import parse_explain, parse_train

WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page.read_text("utf-8")))]
COMMAND = re.compile(r"^(?:\S+/)?(?:python3? (?P<script>train|explain)\.py|actmaps-(?P<entry>train|explain)|"
                     r"python3? -m keras_actmaps (?P<command>train|explain))\b(?P<arguments>.*)$")  # fmt: skip

SEARCHED = {  # what people type into the search of the site, and an answer
    "blank": "faq.html#1-my-map-is-blank-why",
    "softmax": "faq.html#14-logits-or-softmax",
    "which layer": "faq.html#11-which-layer-should-i-use",
    "ViT": "recipes/vit.html",
    "several inputs": "recipes/inputs.html",
    "box": "faq.html#28-how-do-i-get-a-box-or-a-mask-from-a-map",
    "GPU": "faq.html#26-is-the-gpu-used",
}


def shell_lines() -> list[tuple[str, str]]:
    """(page, command) of all blocks of shell commands, without comments and variables in front."""
    found = []
    for page in PAGES:
        for block in blocks(page.read_text("utf-8")):
            for line in block.text.replace("\\\n", " ").splitlines() if block.language == "sh" else ():
                for command in line.partition("  #")[0].split("&&"):
                    text = re.sub(r"^(?:[A-Z_]+=\S+ +)+", "", command.strip())
                    if text and not text.startswith("#"):
                        found.append((name(page), text))
    return found


@pytest.fixture
def in_a_new_folder(tmp_path, monkeypatch):
    """The working directory of a reader, and figures that are not shown."""
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_the_blocks_of_a_page_run_in_order(page, in_a_new_folder):
    namespace, skipped, ran = {"__name__": "__page__"}, [], 0
    for block in blocks(page.read_text("utf-8")):
        if block.language != "python":
            continue
        if missing := block.missing():
            skipped.append(f"line {block.line}: {missing}")
            continue
        code = compile("\n" * (block.line - 1) + block.text, name(page), "exec")
        exec(code, namespace)
        ran += 1
    matplotlib.pyplot.close("all")
    if not ran:
        pytest.skip("; ".join(skipped))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_has_a_language_and_says_why_it_is_not_run(page):
    for block in blocks(page.read_text("utf-8")):
        assert block.language in LANGUAGES, f"{name(page)}:{block.line}: {block.language!r}"
        assert not block.mark or block.what.strip(), f"{name(page)}:{block.line}"
    assert not re.search(
        r"^ *```\s*\n(?=\S)", re.sub(r"^ *```\w+\n.*?^ *```$", "", page.read_text("utf-8"), flags=re.S | re.M), re.M
    )


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(page):
    text = page.read_text("utf-8")
    for target in re.findall(r"\]\(<?([^()\s>]+)>?\)", prose(text)):
        if re.match(r"[a-z]+:", target):
            assert target.startswith(("https://", "mailto:")), target
            continue
        path, _, anchor = unquote(target).partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{name(page)}: {target}"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked.read_text("utf-8")), f"{name(page)}: {target}"


@pytest.mark.parametrize("page, command", shell_lines())
def test_commands_have_options_that_exist(page, command):
    if found := COMMAND.match(command):
        parse = parse_train if "train" in found.group("script", "entry", "command") else parse_explain
        if "--help" not in command:
            parse(shlex.split(found["arguments"]), "command")
    for module in re.findall(r"python3? -m ((?:docs|benchmarks|keras_actmaps)[\w.]*)", command):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{page}: {module}"
    tomllib = pytest.importorskip("tomllib")  # Python 3.11
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for named in re.findall(r"(?:\.|keras_actmaps|whl)\[([\w,-]+)\]", command):
        assert set(named.split(",")) <= extras.keys(), f"{page}: {named}"


def titles_with(query: str, index: dict) -> list[str]:
    """The pages and headings of the site whose titles have a word that begins with each word of a query."""

    def words(text: str) -> list[str]:
        return re.split(index["config"]["separator"], text.lower())

    return [
        entry["location"]
        for entry in index["docs"]
        if all(any(found.startswith(word) for found in words(entry["title"])) for word in words(query))
    ]


def test_the_site_is_built_without_warnings_and_its_search_answers(tmp_path):
    for module in ("mkdocs", "material", "mkdocstrings", "latex2mathml"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed (extra docs)")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-3000:]
    index = json.loads((tmp_path / "search" / "search_index.json").read_text("utf-8"))
    for query, location in SEARCHED.items():
        assert location in titles_with(query, index), query
    assert Path(tmp_path / "index.html").exists()
