"""Records: what makes one whole, how a bad one is refused, and what a chapter reads from it."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest

from helpers.book import records
from tools.notebook_files import ROOT

VALUES = [float(value) for value in range(1, 11)]


def entry(values: list[float] = VALUES) -> dict:
    return {
        "value": float(np.mean(values)),
        "unit": "nats",
        "standard_error": float(np.std(values, ddof=1) / np.sqrt(len(values))),
        "n": len(values),
        "seeds": list(range(len(values))),
        "values": list(values),
    }


def whole() -> dict:
    return {
        "metrics": {"test_nll/VAE": entry(), "frechet/GAN": entry(VALUES[:3])},
        "seconds": 120.0,
        "peak_memory_mb": 900,
        "machine": {"cpu": "a machine", "cores": 4, "threads": 1},
        "versions": {"keras": "3.13.2"},
        "commit": "abc",
        "digest": "d",
        "date": "2026-11-24",
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where records are looked for."""
    monkeypatch.setattr(records, "find_results", lambda: tmp_path)
    (tmp_path / "full").mkdir()
    return tmp_path / "full"


def store(folder: Path, stored: object) -> records.Record:
    (folder / "toy.json").write_text(json.dumps(stored), encoding="utf-8")
    return records.load("toy")


# Loading


def test_a_record_is_loaded_by_name(folder: Path) -> None:
    record = store(folder, whole())
    assert record.name == "toy"
    assert record.get("test_nll/VAE")["value"] == 5.5
    np.testing.assert_array_equal(record.values("test_nll/VAE"), VALUES)


def test_values_by_seed_may_be_left_out(folder: Path) -> None:
    stored = whole()
    del stored["metrics"]["frechet/GAN"]["values"]
    record = store(folder, stored)
    assert record.get("frechet/GAN")["n"] == 3
    with pytest.raises(records.RecordError, match="no values by seed"):
        record.values("frechet/GAN")


def test_a_missing_record_says_what_to_run(folder: Path) -> None:
    with pytest.raises(records.RecordError, match=r"no record at .* `make studies` or `make full`"):
        records.load("toy")


def test_an_unknown_metric_is_refused_with_the_known_ones(folder: Path) -> None:
    with pytest.raises(records.RecordError, match=r"holds no 'fid'; expected one of frechet/GAN, test_nll/VAE"):
        store(folder, whole()).get("fid")


def test_half_a_file_is_refused(folder: Path) -> None:
    (folder / "toy.json").write_text(json.dumps(whole())[:100], encoding="utf-8")
    with pytest.raises(records.RecordError, match="is not JSON"):
        records.load("toy")


def without(key: str) -> dict:
    return {name: value for name, value in whole().items() if name != key}


def changed(**changes: object) -> dict:
    stored = copy.deepcopy(whole())
    stored["metrics"]["test_nll/VAE"].update(changes)
    return stored


def lacking(key: str) -> dict:
    stored = whole()
    del stored["metrics"]["test_nll/VAE"][key]
    return stored


@pytest.mark.parametrize("key", [*records.KEYS, "digest", "machine"])
def test_a_record_without_a_part_is_refused(folder: Path, key: str) -> None:
    with pytest.raises(records.RecordError, match=rf"a record needs .*\b{key}, "):
        store(folder, without(key))


@pytest.mark.parametrize("key", records.METRIC_KEYS)
def test_a_metric_without_a_part_is_refused(folder: Path, key: str) -> None:
    with pytest.raises(records.RecordError, match="test_nll/VAE needs"):
        store(folder, lacking(key))


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ([], "a record needs"),
        ({**whole(), "metrics": {}}, "a metric at least"),
        ({**whole(), "metrics": {"a": 5}}, "toy: a is 5, a int; expected an object"),
        (changed(n=9), "as many seeds and values"),
        (changed(seeds=[0]), "as many seeds and values"),
        (changed(values=VALUES[1:]), "as many seeds and values"),
        (changed(value=5.6), "not the mean"),
        (changed(standard_error=0.1), "not that of its values"),
        (changed(value=float("nan"), values=[float("nan")] * 10), "is not JSON"),  # which knows no NaN
        (changed(values=[]), "test_nll/VAE has no values"),
        (whole() | {"machine": {"cpu": "a machine", "cores": 4}}, "the machine lacks threads"),
        (whole() | {"device": 5}, "the machine is not told as `make studies` does"),
    ],
)
def test_a_record_at_odds_with_itself_is_refused(folder: Path, stored: object, message: str) -> None:
    with pytest.raises(records.RecordError, match=message):
        store(folder, stored)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused_before_it_is_written(value: float) -> None:
    with pytest.raises(records.RecordError, match="test_nll/VAE holds a number that is not finite"):
        records.check(changed(values=[value, *VALUES[1:]]), "toy")


# Reading


@pytest.mark.parametrize(("value", "included"), [(5.5, True), (30.0, False), (-20.0, False), (float("nan"), False)])
def test_a_live_value_lies_in_the_range_of_the_seeds_or_not(folder: Path, value: float, included: bool) -> None:
    assert store(folder, whole()).includes("test_nll/VAE", value) is included


def test_an_open_side_is_open(folder: Path) -> None:
    assert store(folder, whole()).includes("test_nll/VAE", -20.0, worse="higher")


def test_a_table_has_a_line_for_each_row_and_blanks_where_nothing_was_measured(folder: Path) -> None:
    table = store(folder, whole()).format_table(("GAN", "VAE"), ("frechet", "test_nll"))
    assert table.splitlines() == [
        "         frechet     test_nll",
        "GAN  2.00 ± 0.58             ",
        "VAE               5.50 ± 0.96",
    ]


def test_an_exact_number_stands_in_a_table_without_an_error(folder: Path) -> None:
    stored = whole()
    exact = {"value": 1200.0, "unit": "parameters", "standard_error": 0.0, "n": 1, "seeds": [0]}
    stored["metrics"] = {"parameters/GAN": exact, "share/GAN": {**exact, "value": 0.25}}
    assert store(folder, stored).format_table(("GAN",), ("parameters", "share")).splitlines() == [
        "     parameters  share",
        "GAN       1,200   0.25",
    ]


def test_seeds_that_agree_keep_their_error_in_a_table(folder: Path) -> None:
    stored = whole()
    stored["metrics"] = {"failed/GAN": entry([0.0] * 10)}
    assert store(folder, stored).format_table(("GAN",), ("failed",)).splitlines()[1] == "GAN  0.00 ± 0.00"


def test_a_table_of_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(records.RecordError, match="names are column/row"):
        store(folder, whole()).format_table(("WGAN",), ("frechet",))


def test_a_record_has_one_picture(folder: Path) -> None:
    full_run = store(folder, whole())
    with pytest.raises(records.RecordError, match="0 pictures"):
        full_run.find_picture()
    (folder / "toy").mkdir()
    for name in ("fig-toy", "fig-other"):
        picture = folder / "toy" / f"{name}.png"
        picture.write_bytes(b"a picture")
        if name == "fig-toy":
            assert full_run.find_picture() == picture
    with pytest.raises(records.RecordError, match="2 pictures"):
        full_run.find_picture()


def test_a_record_says_where_and_when(folder: Path) -> None:
    first = "toy: 10 seeds, measured 2026-11-24, commit abc\n"
    assert store(folder, whole()).describe() == f"{first}in 2 minutes of a machine, 1 of 4 cores"
    with_gpu = whole() | {"machine": {"cpu": "a machine", "cores": 4, "threads": 2, "gpu": "a GPU"}}
    assert store(folder, with_gpu).describe() == f"{first}in 2 minutes of a GPU and a machine, 2 of 4 cores"
    older = {"device": "an old machine", "code_digest": "d", **without("machine")}  # the form until November 28, 2026
    del older["digest"]
    assert store(folder, older).describe() == f"{first}in 2 minutes of an old machine"


def test_a_full_run_is_shown_by_its_picture_and_by_its_numbers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(folder, whole())
    (folder / "toy").mkdir()
    (folder / "toy" / "fig-toy.png").write_bytes(b"a picture")
    assert records.show_full_run("toy").data == b"a picture"
    quick = {"test_nll/VAE": {"values": VALUES, "worse": "higher", "log": False}}
    stored = {"metrics": quick, "machine": {"cpu": "one"}, "date": "2026-11-30"}
    (folder.parent / "bands").mkdir()
    (folder.parent / "bands" / "quick.json").write_text(json.dumps({"toy": stored}), encoding="utf-8")
    monkeypatch.setattr("helpers.book.bands.find_results", lambda: folder.parent)
    shown: list[tuple] = []
    monkeypatch.setattr("helpers.book.full_runs.show", lambda *given: shown.append(given))
    records.show_full_numbers("toy")
    assert shown == [(whole(), quick)]


# Published numbers


def test_every_published_number_has_a_source_in_the_bibliography() -> None:
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    for table in ("test_nll", "modes", "stacked_digits"):
        for row in records.load_published(table).values():
            assert f"{{{row['source']}," in bibliography
            assert row["where"]
            assert all(math.isfinite(value) for name, value in row.items() if name not in ("source", "where"))


def test_every_published_model_has_a_source_for_its_size_and_for_its_compute() -> None:
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    table = records.load_published("models")
    assert {"AlexNet", "VGG-16", "BERT-base", "BERT-large", "GPT-1", "GPT-3"} <= set(table)
    assert {row["stage"] for row in table.values()} == {"early", "middle", "large"}
    for name, row in table.items():
        assert row["parameters"] > 0, name
        assert 1990 <= row["year"] <= 2026, name
        assert row["kind"] in ("recurrent", "convolutional", "transformer"), name
        assert f"{{{row['source']}," in bibliography, name
        assert row["where"], name
        assert ("training_flops" in row) == ("compute_source" in row) == ("compute_where" in row), name
        if "training_flops" in row:
            # no model was trained with less than one operation for each parameter
            assert row["training_flops"] > row["parameters"], name
            assert f"{{{row['compute_source']}," in bibliography, name
            assert row["compute_where"], name


def test_every_size_of_gpt2_has_its_two_sources_in_the_bibliography() -> None:
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    for name, row in records.load_published("gpt2_sizes").items():
        assert 0 < row["in_the_paper"] < row["parameters"], name  # the paper's numbers were too low
        assert row["where"], name
        assert row["paper_where"], name
        for key in ("source", "paper_source"):
            assert f"{{{row[key]}," in bibliography, name


def test_an_unknown_table_is_refused_with_the_known_ones() -> None:
    tables = "gpt2_sizes, models, modes, stacked_digits, test_nll"
    with pytest.raises(records.RecordError, match=f"no published table is called 'fid'; there are {tables}"):
        records.load_published("fid")


def test_a_record_is_checked_by_a_name_that_is_a_text() -> None:
    with pytest.raises(records.RecordError, match="name is 5, a int; expected the name of a record"):
        records.check(whole(), 5)
