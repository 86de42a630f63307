"""Every exercise says `not yet` as given, and `passed` with its folded solution.

It builds on setup, imports and the cells that are marked `for_exercises`, and on nothing else of its chapter.
"""

import contextlib
import functools
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nbformat import NotebookNode
from notebook_structure import exercises, solution_code, solved

from tests.apart import open_process
from tests.memory import give_back_memory
from tools.notebook_files import book_metadata, chapters, code_cells, read

pytestmark = pytest.mark.runs_chapters
BUILT_ON = {"setup", "imports", "for_exercises"}
EVERY_EXERCISE = [
    pytest.param(path, cell, after, id=name) for path in chapters() for name, cell, after in exercises(read(path))
]


@functools.lru_cache(maxsize=1)
def start_of(path: Path) -> dict[str, object]:
    """The names that an exercise may build on: what the marked cells of its chapter leave."""
    give_back_memory()
    names: dict[str, object] = {}
    for cell in code_cells(read(path)):
        if BUILT_ON & book_metadata(cell).keys():
            exec(cell.source, names)
    return names


def run_exercise(path: Path, source: str) -> str:
    """Run an exercise's code after what it may build on; return what it printed."""
    with contextlib.redirect_stdout(io.StringIO()):
        names = dict(start_of(path))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(source, names)
    return printed.getvalue()


@pytest.fixture(scope="module")
def call_apart() -> Iterator[Callable]:
    """A process of its own for the exercises of every few chapters, of which each leaves some 40 MB."""
    with open_process(pieces=60) as call:
        yield call


@pytest.mark.parametrize("given", [True, False], ids=["as given", "solved"])  # first: one chapter after another
@pytest.mark.parametrize(("path", "cell", "after"), EVERY_EXERCISE)
def test_exercise(path: Path, cell: NotebookNode, after: NotebookNode, given: bool, call_apart: Callable) -> None:
    source = cell.source if given else solved(cell.source, solution_code(after))
    assert call_apart(run_exercise, path, source) == ("not yet\n" if given else "passed\n")
