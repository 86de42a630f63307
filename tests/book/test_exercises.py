"""Every exercise says `not yet` as given, and `passed` with its folded solution, from setup and imports alone."""

import functools
from pathlib import Path

import pytest
from nbformat import NotebookNode
from notebook_structure import exercises, solution_code, solved

from tools.notebook_files import book_metadata, chapters, code_cells, read

pytestmark = pytest.mark.runs_chapters
EVERY_EXERCISE = [
    pytest.param(path, cell, after, id=name) for path in chapters() for name, cell, after in exercises(read(path))
]


@functools.cache
def start_of(path: Path) -> dict[str, object]:
    """The names that an exercise may build on: what its chapter's setup and imports cells leave."""
    names: dict[str, object] = {}
    for cell in code_cells(read(path)):
        if {"setup", "imports"} & book_metadata(cell).keys():
            exec(cell.source, names)
    return names


@pytest.mark.parametrize(("path", "cell", "after"), EVERY_EXERCISE)
@pytest.mark.parametrize("given", [True, False], ids=["as given", "solved"])
def test_exercise(
    path: Path, cell: NotebookNode, after: NotebookNode, given: bool, capsys: pytest.CaptureFixture
) -> None:
    names = dict(start_of(path))
    capsys.readouterr()
    exec(cell.source if given else solved(cell.source, solution_code(after)), names)
    assert capsys.readouterr().out == ("not yet\n" if given else "passed\n")
