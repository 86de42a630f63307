"""The study of three models at equal seconds, on the small digits and in a few steps."""

from pathlib import Path

import numpy as np
import pytest

from studies import three_models as study
from tools import studies

SCORES = {"frechet", "told_apart", "coverage", "memorisation"}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten steps of narrow networks on scikit-learn's digits; one epoch."""
    monkeypatch.setenv("BOOK_PROFILE", "quick")
    monkeypatch.setenv("BOOK_SEED", "0")
    monkeypatch.setattr(study, "STEPS_PER_EPOCH", 2)
    monkeypatch.setattr(study, "TIMED", 1)
    for label, run in study.RUNS.items():
        small = {"widths": tuple(8 for _ in run.get("widths", ())), "steps": 2, "profile": "quick"}
        monkeypatch.setitem(study.RUNS, label, run | small)


@pytest.mark.parametrize("kind", ["GAN", "VAE", "flow"])
def test_the_study_measures_a_model(kind: str, tmp_path: Path) -> None:
    label = f"{kind} on digits"
    measured = {name: studies.as_entry(*given) for name, given in study.measure(label, tmp_path).items()}
    ways = [label, *([f"flow in {study.FEW} steps on digits"] if kind == "flow" else [])]
    scored = {f"{score}/{way}" for score in SCORES | {"sampling"} for way in ways}
    assert measured.keys() == scored | {f"seconds/{label}", f"weights/{label}"}
    assert all(np.isfinite(entry["value"]) for entry in measured.values())
    assert (tmp_path / f"{kind}_on_digits.png").stat().st_size > 1_000


def test_the_references_are_no_model_s(tmp_path: Path) -> None:
    measured = {name: value for name, (value, _) in study.measure("references on digits", tmp_path).items()}
    assert measured["frechet/real digits on digits"] < measured["frechet/class Gaussians on digits"]
    assert "memorisation/real digits on digits" not in measured  # they are among those it compares with
    assert "memorisation/class Gaussians on digits" in measured


def test_the_weights_are_equal_to_one_in_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for place in ("digits", "MNIST"):
        counts = []
        for kind in ("GAN", "VAE", "flow"):
            model, _ = study.build(kind, study.RUNS[f"{kind} on {place}"], 0)
            counts.append(sum(network.count_params() for network in model.layers))
        assert max(counts) / min(counts) < 1.01, counts
