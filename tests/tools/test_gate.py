"""What conftest.py adds to pytest: one chapter alone, tests that skip without PyTorch, and what it all cost."""

import importlib.util
from collections.abc import Callable

import pytest

from tools.notebook_files import NOTEBOOKS, ROOT

TESTS = """
from pathlib import Path
from types import SimpleNamespace
import pytest

broken = SimpleNamespace(chapter="vae")

@pytest.mark.parametrize("given", ["vae", "notebooks/vae", Path("vae.ipynb"), broken, "gan_vs_vae", "vae-1", 1])
def test_of_a_chapter(given):
    pass

def test_of_none():
    pass

@pytest.mark.parametrize("given", ["vae", "code_vae_pytorch"])
@pytest.mark.runs_chapters
def test_that_runs_it(given):
    pass

@pytest.mark.parametrize("given", ["vae", "code_vae_pytorch"])
def test_that_reads_it(given):
    pass
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """A function that runs TESTS under the book's conftest.py, with options."""
    pytester.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8"))
    pytester.makepyfile(TESTS)
    return lambda *options: pytester.runpytest_inprocess("-p", "no:nbval", *options)


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else find(name, *rest))


def test_one_chapter_is_asked_for(run: Callable) -> None:
    run("--chapter", "vae").assert_outcomes(passed=6, deselected=6)


@pytest.mark.parametrize("name", ["vea", ""])
def test_a_chapter_that_there_is_not_is_refused(run: Callable, name: str) -> None:
    ended = run("--chapter", name)
    assert ended.ret == pytest.ExitCode.USAGE_ERROR
    ended.stderr.fnmatch_lines(f"*no chapter is called {name}; there are *vae*")


@pytest.mark.usefixtures("without_torch")
def test_what_runs_pytorch_skips_without_it(run: Callable) -> None:
    run().assert_outcomes(passed=11, skipped=1)


@pytest.mark.usefixtures("without_torch")
def test_the_cells_of_its_chapter_skip_too(pytester: pytest.Pytester) -> None:
    outcomes = pytester.runpytest_inprocess(NOTEBOOKS / "code_vae_pytorch.ipynb").parseoutcomes()
    assert set(outcomes) == {"skipped"}


def test_the_summary_says_what_the_tests_cost(run: Callable) -> None:
    run().stdout.re_match_lines(
        [
            r" +\d+\.\d CPU s  test_\w+\.py",
            r" +\d+\.\d CPU s  in all",
            r"pytest grew to \d+\.\d GB \(\d+\.\d in test_.*\), .* \d+\.\d GB",
        ]
    )
