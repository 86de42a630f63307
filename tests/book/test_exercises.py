"""Every exercise says `not yet` as given, and `passed` with its folded solution, from setup and imports alone."""

import functools
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
from nbformat import NotebookNode

from tools.notebook_files import ROOT, book_metadata, chapters, code_cells, read
from tools.notebook_structure import exercises, solution_code, solved

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


@pytest.mark.parametrize("found", [None, object()], ids=["without PyTorch", "with it"])
def test_the_chapter_on_pytorch_skips_visibly_without_it(
    found: object, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """What would run it is marked, and nothing else; its structure and stored outputs are checked all the same."""
    in_root = pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py"))  # not the one that lies in tests
    nodes = {
        "notebooks/code_vae_pytorch.ipynb::Code cell 0": True,
        "tests/book/test_exercises.py::test_exercise[as given-code-vae-pytorch-1]": True,
        "tests/book/test_full_profile.py::test_chapter_runs_in_the_full_profile[code_vae_pytorch]": True,
        "notebooks/vae.ipynb::Code cell 0": False,
        "tests/book/test_exercises.py::test_exercise[as given-vae-1]": False,
        "tests/book/test_notebooks.py::test_anatomy[code_vae_pytorch-length]": False,
    }
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found if name == "torch" else object())
    for node, runs_it in nodes.items():
        marks = []
        item = SimpleNamespace(nodeid=node, path=Path(node.split("::")[0]), add_marker=marks.append)
        in_root.pytest_collection_modifyitems([item])
        assert bool(marks) == (runs_it and found is None), node
