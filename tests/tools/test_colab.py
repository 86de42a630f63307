"""A Colab session from the chapter file alone: `helpers` gets installed, nothing preinstalled changes, results hold.

`make test` plays one chapter, `make colab-test` all of them.
"""

from pathlib import Path

import pytest
from colab_session import ColabSession, snapshot
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook

from tools.notebook_files import NOTEBOOKS, chapters, read, setup_source, verdict_lines, write

PLAYED_ALWAYS = "evaluation"  # the quickest
# What a chapter installs for itself there: what Colab lacks, or the list of its packages in tools/ leaves out.
BROUGHT = {"fintech": {"arch", "imbalanced-learn", "patsy", "sklearn-compat", "statsmodels"}}
NOT_PLAYED = pytest.mark.skip(reason="Colab's PyTorch has no CPU build here; `make test` runs the chapter with ours")
OTHERS = [
    pytest.param(path.stem, marks=[pytest.mark.slow, *([NOT_PLAYED] if "pytorch" in path.stem else [])])
    for path in chapters()
    if path.stem != PLAYED_ALWAYS
]


@pytest.fixture
def session(tmp_path: Path) -> ColabSession:
    (tmp_path / "colab").mkdir()
    return ColabSession(tmp_path / "colab")


@pytest.mark.parametrize("chapter", [PLAYED_ALWAYS, *OTHERS])
def test_a_chapter_runs_on_colab(chapter: str, session: ColabSession, tmp_path: Path) -> None:
    path = NOTEBOOKS / f"{chapter}.ipynb"
    stored = verdict_lines(read(path))
    before = session.packages()
    played = session.run(path, COLAB_RELEASE_TAG="any", BOOK_REPOSITORY=snapshot(tmp_path / "clone")).notebook
    after = session.packages()
    assert "generative-book" not in before
    new = {"generative-book", *BROUGHT.get(chapter, ())}
    assert {name: version for name, version in after.items() if name not in new - before.keys()} == before
    assert "generative-book" in after
    assert stored
    assert verdict_lines(played) == stored


@pytest.mark.parametrize(
    ("address", "colab"),
    [
        pytest.param("", {"COLAB_RELEASE_TAG": "any"}, id="on Colab while no address is set"),
        pytest.param("https://github.com/owner/name", {}, id="on a machine that is not Colab's"),
    ],
)
def test_nothing_is_installed(address: str, colab: dict[str, str], session: ColabSession, tmp_path: Path) -> None:
    lone = tmp_path / "lone.ipynb"
    write(new_notebook(cells=[new_code_cell(setup_source(address, "main"))]), lone)
    before = session.packages()
    with pytest.raises(CellExecutionError, match="for Colab, first `make set-repository`"):
        session.run(lone, **colab)
    assert session.packages() == before
