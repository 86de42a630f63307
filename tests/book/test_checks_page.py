"""How the site shows a chapter's checks: folded, with a line under the title that leads to them."""

import json
from pathlib import Path
from types import SimpleNamespace

import book_checks
import pytest
from chapter_edits import printing
from docutils import nodes
from docutils.utils import new_document
from myst_nb.sphinx_ import HideCodeCellNode
from nbformat.v4 import new_notebook

from tools.notebook_files import write

LINES = "A b: within the reference band\nA c: outside the reference band: 3, 1 above\nA d: within the reference band\n"


@pytest.fixture
def app(tmp_path: Path) -> SimpleNamespace:
    path = tmp_path / "small.ipynb"
    write(new_notebook(cells=[printing("x", LINES)]), path)
    return SimpleNamespace(env=SimpleNamespace(docname="small", doc2path=lambda name: str(path)))


def page(*headings: str) -> nodes.section:
    whole = nodes.section("", nodes.title(text="A chapter"), ids=["a"])
    for heading in headings:
        content = nodes.paragraph(text="one"), nodes.paragraph(text="two")
        whole += nodes.section("", nodes.title(text=heading), *content, ids=[heading.lower()])
    return whole


def test_the_section_is_folded_behind_its_heading(app: SimpleNamespace) -> None:
    doctree = page("Summary", "Checks")
    book_checks.fold_checks(app, doctree)
    summary, checks = doctree.children[1:]
    assert len(summary.children) == 3
    title, fold = checks.children
    assert title.astext() == "Checks"
    assert isinstance(fold, book_checks.Fold)
    assert [one.astext() for one in fold.children] == ["one", "two"]


def test_a_page_without_checks_is_left_as_it_is(app: SimpleNamespace) -> None:
    doctree = page("Summary")
    book_checks.fold_checks(app, doctree)
    assert not list(doctree.findall(book_checks.Fold))
    assert book_checks.status_of(app, doctree) == []


def test_the_line_counts_and_leads_to_the_section(app: SimpleNamespace) -> None:
    parts = book_checks.status_of(app, page("Summary", "Checks"))
    assert "".join(part.astext() for part in parts) == "This run: 2 of 3 results within their bands. "
    assert parts[1]["refid"] == "checks"


def test_a_folded_cell_is_named_by_its_title(app: SimpleNamespace) -> None:
    cells = [
        {"cell_type": "code", "source": ["# @title Sizes\n", "x = 1"], "metadata": {"mystnb": {"a": 1}}},
        {"cell_type": "code", "source": "x = 1", "metadata": {}},
        {"cell_type": "code", "source": "x = 1", "metadata": {"tags": ["hide-input"], "mystnb": {"figure": {}}}},
        {"cell_type": "code", "source": "x = 1", "metadata": {"tags": ["hide-input"]}},
    ]
    source = [json.dumps({"cells": cells})]
    book_checks.name_folds(app, "small", source)
    named, other, figure, table = json.loads(source[0])["cells"]
    assert named["metadata"]["mystnb"] == {"a": 1, "code_prompt_show": "Sizes", "code_prompt_hide": "Sizes"}
    assert other == cells[1]
    told = [one["metadata"]["mystnb"]["code_prompt_show"] for one in (figure, table)]
    assert told == ["Code of this figure", "Code of this output"]


def test_what_a_cell_shows_comes_before_its_folded_code() -> None:
    document = new_document("x")
    for name in ("tag_hide-input", "tag_hide-cell"):
        document += nodes.container("", HideCodeCellNode(), nodes.figure(), classes=["cell", name])
    book_checks.show_before_code(None, document, "x")
    shown, other = ([type(child) for child in cell.children] for cell in document.children)
    assert (shown, other) == ([nodes.figure, HideCodeCellNode], [HideCodeCellNode, nodes.figure])
