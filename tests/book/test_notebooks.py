"""Every chapter has the book's anatomy, and stores what its code as it stands has printed."""

import ast
import base64
import html
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import nbformat
import notebook_structure as structure
import pytest
import yaml
from chapter_edits import ERROR, appending_output, printing, removing, replacing, setting
from lesson_form import LESSON_CHECKS
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.book import records
from tools.digest import Code, canonical, find_unpinned, strip
from tools.execute import without_text_chunks
from tools.notebook_files import (
    ROOT,
    book_metadata,
    chapters,
    code_cells,
    printed,
    read,
    setup_source,
    setup_values,
    text_of,
)
from tools.set_repository import config_values
from tools.stale import find_stale

every_chapter = pytest.mark.parametrize("path", chapters(), ids=lambda path: path.stem)


def test_the_chapters_of_this_book_are_found() -> None:
    assert {"gan", "vae"} <= {path.stem for path in chapters()}


@pytest.fixture(scope="module")
def with_older_bands() -> set[str]:
    """The chapters whose bands are of other code, as `tools.stale` says: it is not their numbers that lie outside."""
    return {one.name for one in find_stale() if one.kind == "bands"}


ANATOMY = [
    pytest.param(path, check, id=f"{path.stem}-{check.__name__}")
    for path in chapters()
    for check in (*structure.CHECKS, *LESSON_CHECKS)
]


@pytest.mark.parametrize(("path", "check"), ANATOMY)
def test_anatomy(path: Path, check: Callable[[NotebookNode], list[str]], with_older_bands: set[str]) -> None:
    complaints = check(read(path))
    if path.stem in with_older_bands:
        complaints = [one for one in complaints if not one.startswith(structure.STORED_VERDICT)]
    assert complaints == []


@every_chapter
def test_file_is_a_valid_notebook_in_its_stored_form(path: Path) -> None:
    nbformat.validate(read(path))
    assert path.read_text(encoding="utf-8") == text_of(read(path)), "store it with `make execute`"


@pytest.fixture(scope="module")
def code() -> Code:
    return Code()


@every_chapter
def test_outputs_come_from_this_code(path: Path, code: Code) -> None:
    if unpinned := find_unpinned():
        pytest.skip(f"other versions than pinned are installed: {unpinned}")
    digest = code.digest_chapter(path.stem, "outputs")
    assert read(path).metadata.book.digest == digest, f"run `make execute CHAPTER={path.stem}`"


@every_chapter
def test_a_chapter_with_a_full_run_shows_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = code_cells(read(path))
    if not (ROOT / "results" / "full" / f"{path.stem}.json").exists():
        assert not [cell for cell in cells if book_metadata(cell).get("record") == path.stem]
        pytest.skip(f"no full run of {path.stem} is recorded yet: make full")
    shown = [cell for cell in cells if cell.source == f'records.show_full_run("{path.stem}")']
    picture = base64.b64encode(records.show_full_run(path.stem).data).decode()
    assert [out.data["image/png"] for cell in shown for out in cell.outputs] == [picture]
    tables: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: tables.append(output))
    records.show_full_numbers(path.stem)
    stored = [out.data.get("text/html") for cell in cells for out in cell.outputs if "data" in out]
    assert {table["text/html"] for table in tables} <= set(stored)


def source_in(outputs: list[dict]) -> str:
    """The Python that outputs of page.show_source hold, without its colours."""
    folded = [text for out in outputs for text in re.findall(r"<pre>(.*?)</pre>", out.get("text/html", ""), re.DOTALL)]
    return html.unescape(re.sub(r"<[^>]*>", "", "\n".join(folded)))


SHOWN_SOURCES = [
    pytest.param(
        cell.source, printed(cell) + source_in([out.data for out in cell.outputs if "data" in out]), id=cell.id
    )
    for path in chapters()
    for cell in code_cells(read(path))
    if book_metadata(cell).get("shows_source")
]


def find_module(name: str) -> ModuleType:
    """The module of helpers that a chapter calls so: `losses`, or `bands` of helpers.book."""
    place = "helpers" if (ROOT / "helpers" / f"{name}.py").exists() else "helpers.book"
    return importlib.import_module(f"{place}.{name}")


@pytest.mark.parametrize(("source", "stored"), SHOWN_SOURCES)
def test_the_source_shown_is_that_of_the_helpers(
    source: str, stored: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As trees: a comment or a docstring that was reworded is no reason to run a chapter again."""
    shown: list[dict] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: shown.append(output))
    modules = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    exec(source, {"inspect": inspect, **{name: find_module(name) for name in modules - {"inspect", "print"}}})
    now = capsys.readouterr().out + source_in(shown)
    trees = [canonical(strip(ast.parse(textwrap.dedent(text)))) for text in (stored, now)]
    assert trees[0] == trees[1]
    assert trees[0] != canonical(ast.parse(""))


TOOLS = [
    pytest.param(output.data["text/html"], id=cell.id)
    for path in chapters()
    for cell in code_cells(read(path))
    for output in cell.outputs
    if '<div class="book-output book-' in output.get("data", {}).get("text/html", "")
]


@pytest.mark.skipif(not TOOLS, reason="no chapter uses the tools of helpers.book.page yet")
@pytest.mark.parametrize("output", TOOLS or [""])
def test_stored_pages_have_the_style_and_script_of_today(output: str) -> None:
    kind, static = re.search(r"book-output book-(\w+)", output)[1], ROOT / "helpers" / "book" / "static"
    assert (static / f"{kind}.css").read_text(encoding="utf-8") in output, "run `make execute`"
    assert kind != "frames" or (static / "frames.js").read_text(encoding="utf-8") in output, "run `make execute`"


@every_chapter
def test_pictures_do_not_name_the_library_that_drew_them(path: Path) -> None:
    for cell in code_cells(read(path)):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                picture = base64.b64decode(output.data["image/png"])
                assert without_text_chunks(picture) == picture


def test_every_setup_cell_and_the_site_hold_the_same_address() -> None:
    values = {path.stem: setup_values(code_cells(read(path))[0].source) for path in chapters()}
    address = config_values((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert values == dict.fromkeys(values, address)


def test_a_chapter_has_one_name() -> None:
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    listed = {entry["file"]: entry.get("title") for part in parts for entry in part["chapters"]}
    for path in chapters():
        assert f"\n# {listed[f'notebooks/{path.stem}']}\n" in read(path).cells[0].source


def test_no_two_figures_of_the_book_share_a_name() -> None:
    names = [
        cell.metadata.mystnb.figure.name
        for path in chapters()
        for cell in code_cells(read(path))
        if "figure" in cell.metadata.get("mystnb", {})
    ]
    assert len(names) == len(set(names))


# A chapter with nothing to complain of, and for each check the ways to break it.

PROMISE = """(ch-example)=
# An example

You will be able to

- one;
- two;
- three.

See {ref}`measured-times`, and § 5.1 of the article."""

EXERCISE = """def answer():
    # your code
    return 0
    # check


print("passed" if answer() == 42 else "not yet")"""

SOLUTION = """````{dropdown} Solution
:icon: key

```python
    return 42
```
````"""


def good_chapter() -> NotebookNode:
    picture = new_output("display_data", {"image/png": "", "text/plain": "<Figure size 100x100 with 1 Axes>"})
    about = {"figure": {"name": "fig-example", "caption": "What it shows."}, "image": {"alt": "A curve."}}
    figure = {"mystnb": about, "tags": ["hide-input"], "book": {"record_figure": True}}
    ignored = ["nbval-ignore-output"]
    exercises = [
        cell
        for name in ("example-1", "example-2")
        for cell in (printing(EXERCISE, "not yet\n", book={"exercise": name}), new_markdown_cell(SOLUTION))
    ]
    chapter = new_notebook(
        cells=[
            new_markdown_cell(PROMISE),
            new_code_cell(setup_source("", "main"), metadata={"book": {"setup": True}}),
            new_code_cell("import math", metadata={"book": {"imports": True}}),
            new_code_cell("config = SimpleNamespace(steps=3)", metadata={"book": {"config": True}}),
            new_code_cell("draw()", metadata=figure, outputs=[picture]),
            printing("print(math.pi)", "3.14\n", tags=ignored),
            printing("judge(math.pi)", "EXAMPLE pi: within the reference band\n"),
            printing('reference.check(f"pi above {3}", math.pi > 3)', "pi above 3: True\n"),
            printing("print(inspect.getsource(math.pi))", "pi = 4\n", tags=ignored, book={"shows_source": True}),
            *[new_markdown_cell("A paragraph.") for _ in range(12)],
            *exercises,
            new_markdown_cell("## Summary\n\nThree promises."),
            new_markdown_cell("## Further reading\n\n{cite:t}`somebody`"),
        ],
        metadata={"book": {"digest": "0", "seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mb": 1}},
    )
    for count, cell in enumerate(code_cells(chapter), start=1):
        cell.execution_count = count
    return chapter


def picture_in_html(told: str) -> NotebookNode:
    """What helpers.book.page displays for frames, with the given alternative text."""
    return new_output("display_data", {"text/html": f'<div class="book-frames"><img src="data:,"{told}></div>'})


def drawing_what_is_printed_in(tag: str) -> Callable[[NotebookNode], None]:
    """A result that a hidden figure cell computes and a later cell prints."""

    def change(chapter: NotebookNode) -> None:
        chapter.cells[FIGURE].metadata.tags = [tag]
        replacing(FIGURE, "draw()", "result = draw()")(chapter)
        replacing(RAW, "math.pi", "result")(chapter)

    return change


SETUP, IMPORTS, CONFIG, FIGURE, RAW, VERDICT, CHECK, SOURCE, EXERCISE_1 = 1, 2, 3, 4, 5, 6, 7, 8, 21

ALL_CHECKS = structure.CHECKS
BROKEN = [
    (structure.setup, replacing(SETUP, "--quiet", "--verbose")),
    (structure.setup, setting({}, "cells", SETUP, "metadata")),
    (structure.setup, setting({"setup": True}, "cells", CONFIG, "metadata", "book")),
    (structure.imports, setting({}, "cells", IMPORTS, "metadata")),
    (structure.imports, lambda chapter: chapter.cells.insert(9, chapter.cells.pop(IMPORTS))),
    (structure.config, setting({}, "cells", CONFIG, "metadata")),
    (structure.config, setting({"config": True}, "cells", RAW, "metadata", "book")),
    (structure.config, replacing(CONFIG, "config =", "sizes =")),
    (structure.config, replacing(CONFIG, "3", "data.load(settings.profile)")),
    (structure.config, replacing(RAW, "math.pi", "math.pi if quick else 3")),
    (structure.config, replacing(RAW, "math.pi", 'settings.profile == "full"')),
    (structure.verdicts, setting([], "cells", VERDICT, "outputs")),
    (structure.verdicts, setting("A b: no reference band yet\n", "cells", VERDICT, "outputs", 0, "text")),
    (
        structure.verdicts,
        setting("A b: outside the reference band: 3, 1 above\n", "cells", VERDICT, "outputs", 0, "text"),
    ),
    (structure.verdicts, setting(["nbval-ignore-output"], "cells", VERDICT, "metadata", "tags")),
    (structure.checks, setting("print('pi above 3:', True)", "cells", CHECK, "source")),
    (structure.checks, setting("pi below 3: True\n", "cells", CHECK, "outputs", 0, "text")),
    (structure.checks, setting("pi above 3: True\npi above 3: True\n", "cells", CHECK, "outputs", 0, "text")),
    (structure.checks, setting(["nbval-ignore-output"], "cells", CHECK, "metadata", "tags")),
    (structure.sources, setting({}, "cells", SOURCE, "metadata", "book")),
    (structure.sources, setting([], "cells", SOURCE, "metadata", "tags")),
    (structure.sources, setting({"shows_source": True}, "cells", RAW, "metadata", "book")),
    (structure.sources, replacing(SOURCE, "print(", "result = 1\nprint(")),
    (structure.record_figure, setting({}, "cells", FIGURE, "metadata", "book")),
    (structure.record_figure, setting({"record_figure": True}, "cells", RAW, "metadata", "book")),
    (structure.record_figure, setting({"book": {"record_figure": True}}, "cells", FIGURE, "metadata")),
    (structure.tags, setting(["nbval-skip"], "cells", RAW, "metadata", "tags")),
    (structure.tags, setting("a word\n", "cells", RAW, "outputs", 0, "text")),
    (structure.figures, appending_output(FIGURE, new_output("display_data", {"image/png": ""}))),
    (structure.figures, setting("example", "cells", FIGURE, "metadata", "mystnb", "figure", "name")),
    (structure.figures, setting(" ", "cells", FIGURE, "metadata", "mystnb", "figure", "caption")),
    (structure.figures, setting({}, "cells", FIGURE, "metadata", "mystnb", "image")),
    (structure.figures, setting({}, "cells", FIGURE, "metadata")),
    (structure.figures, setting([], "cells", FIGURE, "outputs")),
    (structure.figures, setting([picture_in_html("")], "cells", FIGURE, "outputs")),
    (structure.figures, setting([picture_in_html(' alt=" "')], "cells", FIGURE, "outputs")),
    (structure.figures, appending_output(FIGURE, picture_in_html(' alt="A &quot;curve&quot;."'))),
    (
        structure.sources,
        replacing(SOURCE, "print(inspect.getsource(math.pi))", "result = 1\npage.show_source(math.pi)"),
    ),
    (structure.figures, lambda chapter: chapter.cells.append(chapter.cells[FIGURE])),
    (structure.executed, setting(None, "cells", RAW, "execution_count")),
    (structure.executed, removing(IMPORTS)),
    (structure.executed, appending_output(CONFIG, ERROR)),
    (structure.executed, setting(["raises-exception"], "cells", CONFIG, "metadata", "tags")),
    (structure.executed, appending_output(CONFIG, new_output("stream", name="stderr", text="careful"))),
    (structure.hidden, drawing_what_is_printed_in("hide-input")),
    (structure.hidden, drawing_what_is_printed_in("hide-cell")),
    (structure.hidden, replacing(FIGURE, "draw()", "def math(): pass")),
    (structure.endings, replacing(FIGURE, "draw()", "draw();  # the axes")),
    (structure.traces, setting({}, "metadata", "widgets")),
    (structure.traces, setting({"digest": "0", "seconds": 1.0, "peak_memory_mb": 1}, "metadata", "book")),
    (structure.traces, setting({}, "cells", RAW, "metadata", "execution")),
    (structure.traces, setting("read /home/me/digits\n", "cells", RAW, "outputs", 0, "text")),
]


@pytest.mark.parametrize("check", ALL_CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_held_against_a_good_chapter(check: Callable[[NotebookNode], list[str]]) -> None:
    assert check(good_chapter()) == []


def test_a_picture_may_stand_in_html_and_source_in_a_fold() -> None:
    chapter = good_chapter()
    del chapter.cells[FIGURE].metadata["mystnb"]["image"]
    chapter.cells[FIGURE].outputs = [picture_in_html(' alt="A curve."')]
    chapter.cells[FIGURE].metadata["tags"].append("nbval-ignore-output")
    replacing(SOURCE, "print(inspect.getsource(math.pi))", "page.show_source(math.pi)")(chapter)
    assert [complaint for check in structure.CHECKS for complaint in check(chapter)] == []


@pytest.mark.parametrize("source", ["def show(pi): return pi", "[pi for pi in range(3)]", "show = lambda pi: pi"])
def test_a_name_of_its_own_is_none_of_a_hidden_cells(source: str) -> None:
    chapter = good_chapter()
    chapter.cells[FIGURE].source, chapter.cells[RAW].source = "pi = draw()", source
    assert structure.hidden(chapter) == []
    chapter.cells[FIGURE].source, chapter.cells[RAW].source = source.replace("show", "draw"), "pi"
    assert structure.hidden(chapter) == []


@pytest.mark.parametrize(
    ("check", "breaking"), BROKEN, ids=[f"{check.__name__}-{i}" for i, (check, _) in enumerate(BROKEN)]
)
def test_a_broken_chapter_is_caught(
    check: Callable[[NotebookNode], list[str]], breaking: Callable[[NotebookNode], None]
) -> None:
    chapter = good_chapter()
    breaking(chapter)
    assert check(chapter) != []


def test_every_check_is_seen_to_fail() -> None:
    assert {check for check, _ in BROKEN} == set(ALL_CHECKS)


def test_a_setup_cell_gives_back_its_values() -> None:
    assert setup_values(setup_source("https://github.com/owner/name", "next")) == (
        "https://github.com/owner/name",
        "next",
    )
    assert setup_values(setup_source("", "main") + "\n") is None
