"""The loans: 1,000 rows of which 300 are bad, and a file that is missing or another one is named."""

from pathlib import Path

import pytest

from helpers.book import datasets


def test_the_loans_are_those_of_the_source() -> None:
    loans = datasets.load_german_credit()
    assert loans.shape == (1_000, 21)
    assert loans.columns[-1] == "creditability"
    assert loans["creditability"].value_counts().to_dict() == {"good": 700, "bad": 300}
    assert loans["duration_in_month"].between(4, 72).all()
    assert loans["other_debtors_or_guarantors"].value_counts()["none"] == 907  # a word, no missing value
    assert not loans.isna().any(axis=None)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(datasets.DatasetError, match=r"gone\.csv cannot be read"):
        datasets.load_german_credit(tmp_path / "gone.csv")


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_bytes((datasets.FOLDER / "german_credit.csv").read_bytes()[:-100])
    with pytest.raises(datasets.DatasetError, match="expected 2c0bae00"):
        datasets.load_german_credit(other)
