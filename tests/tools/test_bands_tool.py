"""`make bands`: what it measures, what it leaves alone, and that a failed run leaves the old bands."""

import json
from pathlib import Path

import pytest
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook

from helpers.book.bands import BandError, form_band
from tools import bands
from tools.notebook_files import band_digest, chapters, write

TOY = """\
import os
from helpers.book.bands import Reference
seed = int(os.environ["BOOK_SEED"])
Reference("toy", "quick").verdict("first", 10.0 + seed, worse="higher", log=True)
Reference("toy", "quick").excludes("first", 1e9, worse="higher", log=True)  # of a broken model: forms no band
Reference("toy", "quick").verdict("second", -seed, worse="either")
"""


def entries(seed: int, worse: str = "higher") -> list[dict]:
    """What one run reports: two metrics."""
    common = {"chapter": "vae", "worse": worse, "log": False}
    return [{**common, "metric": "first", "value": 1.0 + seed}, {**common, "metric": "second", "value": 5.0 - seed}]


# One run, and many runs together


def test_a_run_reports_what_its_verdict_lines_judged(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "toy.ipynb"
    write(new_notebook(cells=[new_code_cell(TOY)]), path)
    assert bands.measure(path, seed=3) == [
        {"chapter": "toy", "metric": "first", "value": 13.0, "worse": "higher", "log": True},
        {"chapter": "toy", "metric": "second", "value": -3.0, "worse": "either", "log": False},
    ]
    assert "toy, seed 3:" in capsys.readouterr().out


def test_values_are_collected_by_metric_in_the_order_of_seeds() -> None:
    metrics = bands.collect([entries(seed) for seed in range(10)])
    assert metrics == {
        "first": {"worse": "higher", "log": False, "values": [1.0 + seed for seed in range(10)]},
        "second": {"worse": "higher", "log": False, "values": [5.0 - seed for seed in range(10)]},
    }


@pytest.mark.parametrize(
    "odd",
    [[], entries(3)[:1], entries(3)[::-1], entries(3, worse="lower")],
    ids=["nothing", "one metric", "another order", "another side"],
)
def test_runs_that_report_differently_are_refused(odd: list[dict]) -> None:
    runs = [entries(seed) for seed in range(10)]
    for place in (0, 9):
        with pytest.raises(bands.MeasurementError, match="different metrics"):
            bands.collect([*runs[:place], odd, *runs[place + 1 :]])


def test_runs_without_any_verdict_are_refused() -> None:
    with pytest.raises(bands.MeasurementError):
        bands.collect([[]] * 10)


def test_values_that_form_no_band_are_refused() -> None:
    with pytest.raises(BandError, match="10 or more finite values"):
        bands.collect([entries(seed) for seed in range(9)])
    with pytest.raises(BandError, match="finite"):
        bands.collect([*(entries(seed) for seed in range(9)), entries(float("nan"))])


# The command


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of bands of a book whose chapters take no time; `measure` is a stand-in."""
    monkeypatch.setattr(bands, "BANDS", tmp_path / "results" / "bands")
    monkeypatch.setattr(bands, "measure", lambda path, seed: entries(seed))
    return bands.BANDS / "quick.json"


def test_all_chapters_are_measured_and_stored_with_how_it_was_done(stored: Path) -> None:
    assert bands.main([]) == 0
    records = json.loads(stored.read_text(encoding="utf-8"))
    assert list(records) == [path.stem for path in chapters()]
    record = records["vae"]
    assert record["digest"] == band_digest(chapters(["vae"])[0])
    assert record["seeds"] == list(range(10))
    assert form_band(record["metrics"]["first"]["values"], "higher").high > 10.0
    assert {"tensorflow", "keras", "numpy", "python"} <= record["versions"].keys()
    assert record["machine"]
    assert record["date"]


def test_only_what_has_changed_is_measured(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    measured = []
    monkeypatch.setattr(bands, "measure", lambda path, seed: measured.append(path.stem) or entries(seed))
    assert bands.main(["vae"]) == 0
    assert measured == ["vae"] * 10
    assert bands.main(["vae"]) == 0
    assert measured == ["vae"] * 10
    assert "bands are those of the code as it stands" in capsys.readouterr().out
    records = json.loads(stored.read_text(encoding="utf-8"))
    records["vae"]["digest"] = "of other code"
    stored.write_text(json.dumps(records), encoding="utf-8")
    assert bands.main(["vae"]) == 0
    assert measured == ["vae"] * 20


def test_each_seed_is_run_once(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    monkeypatch.setattr(bands, "measure", lambda path, seed: seeds.append(seed) or entries(seed))
    bands.main(["vae"])
    assert sorted(seeds) == list(range(10))


def fail_with(error: Exception):
    """A stand-in for `measure` in which the last seed fails."""

    def measure(path: Path, seed: int) -> list[dict]:
        if seed == 9:
            raise error
        return entries(seed)

    return measure


@pytest.mark.parametrize(
    "measure",
    [
        fail_with(DeadKernelError("Kernel died")),
        fail_with(ValueError("no such cell")),
        lambda path, seed: entries(seed)[: 1 + seed % 2],
        lambda path, seed: entries(float("nan")),
    ],
    ids=["dead kernel", "failed run", "different metrics", "no band"],
)
def test_a_failure_leaves_the_old_bands(
    stored: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, measure
) -> None:
    stored.parent.mkdir(parents=True)
    stored.write_text(json.dumps({"vae": {"digest": "of other code", "metrics": {}}}), encoding="utf-8")
    before = stored.read_bytes()
    monkeypatch.setattr(bands, "measure", measure)
    assert bands.main(["vae"]) == 1
    assert stored.read_bytes() == before
    assert "vae: " in (message := capsys.readouterr().err)
    assert "Its bands are left as they were." in message


def test_chapters_measured_before_a_failure_are_kept(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(path: Path, seed: int) -> list[dict]:
        if path.stem == "vae":
            raise ValueError("this chapter fails")
        return entries(seed)

    monkeypatch.setattr(bands, "measure", measure)
    assert bands.main(["gan", "vae"]) == 1
    assert list(json.loads(stored.read_text(encoding="utf-8"))) == ["gan"]


def test_an_unknown_chapter_is_refused_by_name(stored: Path, capsys: pytest.CaptureFixture) -> None:
    assert bands.main(["vea"]) == 1
    assert "no chapter is called vea" in capsys.readouterr().err
    assert not stored.exists()
