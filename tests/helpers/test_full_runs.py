"""How a full run is told: numbers beside those of quick, lines that came out otherwise, the price."""

import json
from pathlib import Path

import pytest

from helpers.book import bands, full_runs

QUICK = {"test NLL": {"values": [101.0, 105.0, 110.0]}, "Frechet distance": {"values": [1.0, 2.0, 3.0]}}
STORED = {
    "metrics": {
        "test_nll/VAE": {"value": 5.5, "standard_error": 0.957, "unit": "nats", "n": 3, "band": "test NLL"},
        "coverage": {"value": 0.25, "standard_error": 0.0, "unit": "", "n": 2},
    },
    "seconds": 120.0,
    "machine": {"cpu": "a machine", "cores": 4, "threads": 1},
    "unlike_quick": {"  a line": [True, False, True]},
}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts of all that is displayed."""
    texts: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: texts.append(output["text/plain"]))
    return texts


def test_a_full_run_stands_beside_the_quick_one() -> None:
    """By the name of its band; what is measured no longer has a dash, what has no unit no brackets."""
    assert full_runs.compare(STORED["metrics"], QUICK).to_dict("index") == {
        "test NLL (nats)": {"quick": "105.3 ± 2.6", "full": "5.50 ± 0.96"},
        "coverage": {"quick": "–", "full": "0.25 ± 0"},
    }


def test_a_price_is_told_in_minutes_and_with_its_machine() -> None:
    stored = {"seconds": 180.0, "machine": {"cpu": "a processor", "threads": 1, "cores": 2}}
    assert full_runs.tell_price(stored) == "3 minutes of a processor, 1 of 2 cores"
    assert full_runs.tell_price(stored | {"device": "x86_64"}) == "3 minutes of x86_64"


def test_it_is_shown_with_its_price_and_with_what_came_out_otherwise(shown: list[str]) -> None:
    full_runs.show(STORED, QUICK)
    numbers, lines = shown
    assert "full: 3 seeds, 2 minutes of a machine, 1 of 4 cores." in numbers
    assert "5.50 ± 0.96" in numbers
    assert "a line  true in 2 of 3 seeds" in lines


def test_the_checks_of_a_chapter_end_with_its_full_run(
    shown: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.book.bands.find_results", lambda: tmp_path)
    bands.Reference("toy", "quick").show_checks()
    assert len(shown) == 1  # no full run has been recorded
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "toy.json").write_text(json.dumps(STORED), encoding="utf-8")
    bands.Reference("toy", "quick").show_checks()
    assert len(shown) == 4


@pytest.mark.parametrize(
    ("mean", "error", "told"),
    [
        (0.977, 0.00038, "0.97700 ± 0.00038"),
        (21.345, 1.26, "21.3 ± 1.3"),
        (11_652.0, 950.0, "11,652 ± 950"),
        (1.0, 0.0, "1 ± 0"),
        (0.9587, 3.7e-17, "0.9587 ± 0"),  # means of equal numbers differ in the last bit
    ],
)
def test_a_mean_is_told_to_the_second_digit_of_its_error(mean: float, error: float, told: str) -> None:
    assert full_runs.tell_mean(mean, error) == told
