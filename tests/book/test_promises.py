"""The page of promises: each promise has a sentence, a command that there is, and the figures that its test told."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from book_promises import Promises, find_tests, read_promises, tell_command, tell_figures

from tests.soaking import FIGURES
from tools.notebook_files import ROOT

PAGE = (ROOT / "book" / "reliability.md").read_text(encoding="utf-8")
TOLD = find_tests(ROOT)
RUN = {"date": "2026-11-30", "commit": "0123456789ab", "machine": {"cpu": "A processor", "cores": 2, "threads": 1}}


def rows_of(root: Path) -> dict[str, tuple[str, ...]]:
    """The rows that the directive makes in a book, by the name of the promise."""
    directive = Promises.__new__(Promises)
    environment = SimpleNamespace(srcdir=str(root), note_dependency=lambda name: None)
    directive.state = SimpleNamespace(document=SimpleNamespace(settings=SimpleNamespace(env=environment)))
    return {re.match(r"\*\*(.+?)\.\*\*", row[0])[1].lower(): row for row in directive.rows()}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of two promises with a sentence: one that a test tries and that has figures, one of neither."""
    (tmp_path / "book").mkdir()
    listed = '[[promise]]\nname = "it holds"\nsays = "Always."\n\n[[promise]]\nname = "it grows"\nsays = "Sometimes."\n'
    (tmp_path / "book" / "promises.toml").write_text(listed, encoding="utf-8")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_one.py").write_text(
        'def test_a(soak):\n    soak.tell("it holds", n=1)\n', encoding="utf-8"
    )
    (tmp_path / "results").mkdir()
    stored = {
        name: {**RUN, "figures": {"inputs_tried": 12_000, "growth_percent": 3.2}} for name in ("it holds", "unheard")
    }
    (tmp_path / "results" / "soak.json").write_text(json.dumps(stored), encoding="utf-8")
    return tmp_path


def test_a_row_has_sentence_command_figures_and_their_run(book: Path) -> None:
    said, command, figures, run = rows_of(book)["it holds"]
    assert said == "**It holds.** Always."
    assert command == "`make soak ONLY=test_one`"
    assert figures == "- inputs tried: 12,000\n- growth percent: 3.2"
    assert run == "2026-11-30, `0123456789ab`, A processor, 1 of 2 cores"


def test_a_promise_without_figures_says_so(book: Path) -> None:
    assert rows_of(book)["it grows"][1:] == ("no test yet", "not run yet", "")


def test_a_promise_that_only_the_figures_know_has_a_row(book: Path) -> None:
    assert list(rows_of(book)) == ["it holds", "it grows", "unheard"]


def test_the_command_names_every_file_that_tries_a_promise() -> None:
    assert tell_command({}, ["test_a", "test_b"]) == '`make soak ONLY="test_a or test_b"`'
    assert tell_command({"command": "make mutation"}, ["test_a"]) == "`make mutation`"


def test_every_figure_has_a_line() -> None:
    figures = {"machine": "two", "kills": 150, "tried": ["one thread", "no HOME"]}
    assert tell_figures(figures) == "- machine: two\n- kills: 150\n- tried: 2 (one thread; no HOME)"


def test_every_promise_of_the_tests_and_of_the_file_stands_on_the_page() -> None:
    """With a sentence: `promises.toml` has to learn of a new one."""
    stored = json.loads(FIGURES.read_text("utf-8")) if FIGURES.exists() else {}
    assert "```{promises}" in PAGE
    assert (TOLD.keys() | stored.keys()) - read_promises(ROOT).keys() == set()
    assert stored.keys() <= {name for name, row in rows_of(ROOT).items() if row[2] != "not run yet"}
    assert all(promise["says"].endswith(".") for promise in read_promises(ROOT).values())


def test_every_soak_test_tells_of_a_promise() -> None:
    tests = {path: path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
    marked = [path for path, text in tests.items() if re.search(r"^@pytest\.mark\.soak", text, re.MULTILINE)]
    assert marked
    assert {path.stem for path in marked} == {name for files in TOLD.values() for name in files}


def test_the_pages_of_safety_name_only_commands_and_files_that_there_are() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for text in (PAGE, (ROOT / "SECURITY.md").read_text(encoding="utf-8")):
        targets = set(re.findall(r"`make ([a-z-]+)", text))
        assert targets
        assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []
        files = set(re.findall(r"`([\w/-]+\.(?:txt|md))`", text))
        assert [file for file in files if not (ROOT / file).exists()] == []
        only = re.findall(r"ONLY=(\w+)", text)
        assert [name for name in only if not list((ROOT / "tests").rglob(f"{name}.py"))] == []
