"""The verdicts of the medicine chapter can come out both ways: each is turned by what should turn it."""

from typing import Any

import numpy as np
import pytest

from tools.notebook_files import ROOT, book_metadata, code_cells, read

pytestmark = pytest.mark.runs_chapters

MEDICINE_CELLS = ("data", "judge", "vae", "terms", "train", "gaussian", "fillers", "fillers-all")


@pytest.fixture(scope="module")
def medicine() -> dict[str, Any]:
    """What the chapter defines: its patients, the rule of its verdicts, its VAE, and what fills holes."""
    cells = {cell.id: cell for cell in code_cells(read(ROOT / "notebooks" / "medicine.ipynb"))}
    ready = [cell for cell in cells.values() if book_metadata(cell).keys() & {"setup", "imports", "config"}]
    names: dict[str, Any] = {}
    for cell in [*ready, *(cells[f"medicine-{name}"] for name in MEDICINE_CELLS)]:
        exec(cell.source, names)
        if "config" in names:
            names["config"].steps = 300
    return names


@pytest.fixture(scope="module")
def medicine_filled(medicine: dict[str, Any]) -> dict[str, np.ndarray]:
    """Fresh patients with holes, filled; once by a VAE that is shown another patient's row."""
    old, fresh = medicine["old"], medicine["fresh"]
    table = medicine["cancer"].data
    whole = medicine["StandardScaler"]().fit(table[old]).transform(table)
    chance = np.random.default_rng(0)
    holes = chance.random(whole.shape) < 0.2
    pierced = np.where(holes, np.nan, whole)
    fillers = medicine["fillers"]
    fill = fillers["VAE"][1]((8, 64), pierced[old])
    others = chance.permutation(fresh)
    return {
        "whole": whole[fresh],
        "holes": holes[fresh],
        "VAE": fill(pierced[fresh]),
        "VAE, rows shuffled": np.where(holes[fresh], fill(pierced[others]), whole[fresh]),
        "column mean": fillers["column mean"][1](None, pierced[old])(pierced[fresh]),
        "Gaussian": fillers["Gaussian"][1](1e-3, pierced[old])(pierced[fresh]),
    }


@pytest.mark.parametrize(
    ("simple", "generative", "verdict"),
    [
        ("column mean", "VAE", "generative"),
        ("column mean", "VAE, rows shuffled", "simple"),  # the model's input is shuffled
        ("VAE", "VAE", "no difference: simple"),  # the baseline is given the model's output
        ("Gaussian", "VAE", "simple"),
        ("VAE", "Gaussian", "generative"),  # the baseline is given the model's output, and the model the baseline's
    ],
)
def test_medicine_a_verdict_turns(
    medicine: dict[str, Any], medicine_filled: dict[str, np.ndarray], simple: str, generative: str, verdict: str
) -> None:
    known = medicine_filled["whole"], medicine_filled["holes"]
    both = medicine_filled[simple], medicine_filled[generative]
    assert medicine["judge"](*medicine["compare"](medicine["find_fit"], *both, *known)) == verdict
