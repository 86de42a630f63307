"""What a reader opens executes nothing that it should not: no foreign script, no pickle, nothing that needs trust."""

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tools.notebook_files import ROOT, chapters, code_cells, read

KINDS = {"text/plain", "text/html", "image/png"}  # no application/javascript, no widgets that a kernel drives
# What an output may be made of: nothing that loads, embeds or sends.
ELEMENTS = {
    *("b", "br", "button", "canvas", "caption", "circle", "code", "details", "div", "g", "i", "img", "input", "label"),
    *("li", "ol", "option", "p", "path", "pre", "script", "select", "small", "span", "strong", "style", "summary"),
    *("svg", "table", "tbody", "td", "text", "th", "thead", "tr"),
}
# What a script would reach the network or other code by.
REACHES = re.compile(
    r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|eval|Function|document\.cookie)\b"
)
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NETWORK = {"urllib.request", "http.client", "requests", "httpx", "aiohttp", "socket", "ssl", "ftplib", "smtplib"}

ALLOWED = {"scaling": {"socket"}}  # two workers find a free port each, and talk at 127.0.0.1
SAFE = {
    "allow_pickle": "False",
    "safe_mode": "True",
    "weights_only": "True",
}  # the defaults of NumPy, Keras and PyTorch


class Output(HTMLParser):
    """Complaints about the HTML of one output."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.complaints: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        if tag not in ELEMENTS:
            self.complaints.append(f"<{tag}>")
        for name, value in attrs:
            address = (value or "").strip().lower()
            if name.startswith("on") or address.startswith(("javascript:", "vbscript:")):
                self.complaints.append(f"<{tag} {name}>")
            if name in ("src", "href", "action", "formaction", "srcdoc", "xlink:href") and not (
                tag == "img" and address.startswith("data:image/")
            ):
                self.complaints.append(f"<{tag} {name}>")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.complaints += [f"script: {found}" for found in sorted(set(REACHES.findall(data)))]
        if self._inside == "style" and re.search(r"@import|url\((?!['\"]?data:)", data):
            self.complaints.append("style that loads")


def examine_notebook(notebook: dict) -> list[str]:
    """What in a stored notebook would run, load, or ask the reader to trust it."""
    cells = [*notebook["cells"], {"metadata": notebook["metadata"]}]
    found = ["marked as trusted" for cell in cells if "trusted" in cell["metadata"]]
    found += ["state of widgets"] if "widgets" in notebook["metadata"] else []
    for data in (output.get("data", {}) for cell in cells for output in cell.get("outputs", [])):
        found += sorted(data.keys() - KINDS)
        found += Output("".join(data.get("text/html", ""))).complaints
    for cell in cells:
        if cell.get("cell_type") == "markdown" and re.search(
            r"<(script|iframe|object|embed)\b", "".join(cell["source"])
        ):
            found.append("markup that runs in a text")
    return found


@pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)
def test_the_outputs_of_a_chapter_execute_nothing_of_others(path: Path) -> None:
    assert examine_notebook(json.loads(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"application/javascript": "1"}, "application/javascript"),
        ({"application/vnd.jupyter.widget-view+json": "{}"}, "application/vnd.jupyter.widget-view+json"),
        ({"text/html": "<script src='https://example.org/x.js'></script>"}, "<script src>"),
        ({"text/html": "<script src='x.js'></script>"}, "<script src>"),
        ({"text/html": "<script>fetch('x')</script>"}, "script: fetch"),
        ({"text/html": "<img src='https://example.org/x.png'>"}, "<img src>"),
        ({"text/html": "<p onclick='x()'>"}, "<p onclick>"),
        ({"text/html": "<iframe></iframe>"}, "<iframe>"),
        ({"text/html": "<style>@import 'x.css'</style>"}, "style that loads"),
    ],
)
def test_an_output_that_would_is_seen(data: dict, complaint: str) -> None:
    notebook = {"metadata": {}, "cells": [{"metadata": {}, "outputs": [{"data": data}]}]}
    assert examine_notebook(notebook) == [complaint]


def test_a_notebook_that_asks_for_trust_is_seen() -> None:
    assert examine_notebook({"metadata": {}, "cells": [{"metadata": {"trusted": True}}]}) == ["marked as trusted"]


# Code


def find_risks(tree: ast.AST, forbidden: set[str]) -> list[str]:
    """What code imports of the forbidden modules, and calls that would run what a file holds."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [
                alias.name for alias in node.names if alias.name.split(".")[0] in forbidden or alias.name in forbidden
            ]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = {node.module, node.module.split(".")[0], *(f"{node.module}.{alias.name}" for alias in node.names)}
            found += sorted(names & forbidden)[:1]
        elif isinstance(node, ast.Call):
            settings = {word.arg: ast.unparse(word.value) for word in node.keywords}
            found += [name for name, safe in SAFE.items() if settings.get(name, safe) != safe]
            found += ["read_pickle"] if ast.unparse(node.func).endswith("read_pickle") else []
    return found


CODE = [*sorted((ROOT / "helpers").rglob("*.py")), *sorted((ROOT / "studies").glob("*.py")), *chapters()]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_of_the_book_unpickles_or_calls_out(path: Path) -> None:
    if path.suffix == ".py":
        trees = [ast.parse(path.read_text(encoding="utf-8"))]
    else:
        trees = [ast.parse(cell.source) for cell in code_cells(read(path))]
    forbidden = PICKLES | NETWORK - ALLOWED.get(path.stem, set())
    assert [risk for tree in trees for risk in find_risks(tree, forbidden)] == []


@pytest.mark.parametrize(
    ("code", "risk"),
    [
        ("import pickle", "pickle"),
        ("from joblib import load", "joblib"),
        ("from urllib import request", "urllib.request"),
        ("import requests.sessions", "requests.sessions"),
        ("np.load(f, allow_pickle=True)", "allow_pickle"),
        ("keras.saving.load_model(f, safe_mode=False)", "safe_mode"),
        ("torch.load(f, weights_only=False)", "weights_only"),
        ("pd.read_pickle(f)", "read_pickle"),
    ],
)
def test_code_that_would_is_seen(code: str, risk: str) -> None:
    assert find_risks(ast.parse(code), PICKLES | NETWORK) == [risk]


def test_no_file_of_the_book_is_a_pickle() -> None:
    """By name and by the bytes that one begins with; archives of arrays hold numbers and texts."""
    files = [path for folder in ("helpers", "results", "book", "notebooks") for path in (ROOT / folder).rglob("*")]
    files = [path for path in files if path.is_file() and path.suffix != ".pyc"]
    archives = [path for path in files if path.suffix == ".npz"]
    assert archives
    for path in archives:
        with np.load(path, allow_pickle=False) as arrays:  # refuses whatever would need a pickle
            assert [name for name in arrays if arrays[name].dtype.hasobject] == []
    assert [
        path for path in files if path.suffix in {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".npy"}
    ] == []
    assert [path for path in files if re.match(rb"\x80[\x02-\x05]", path.read_bytes()[:2])] == []
