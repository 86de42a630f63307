"""The loans: 1,000 rows of which 300 are bad, and a file that is missing or another one is named."""

from pathlib import Path

import pandas as pd
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


def test_the_words_are_the_corrected_ones() -> None:
    loans = datasets.load_german_credit()
    bad = loans["creditability"] == "bad"
    rates = bad.groupby(loans["status_of_existing_checking_account"]).mean().sort_values()
    assert list(rates.index) == [  # the more money, the fewer go bad
        "... >= 200 DM / salary for at least 1 year",
        "0 <= ... < 200 DM",
        "... < 0 DM",
        "no checking account",
    ]
    counts = {  # as in South German Credit, column by column
        "credit_history": {"delay in paying off in the past": 40, "all credits at this bank paid back duly": 293},
        "purpose": {"others": 234, "furniture/equipment": 280, "vacation": 9, "business": 12},
        "savings_account_and_bonds": {"unknown/ no savings account": 603, "... >= 1000 DM": 183},
        "property": {"unknown / no property": 282, "real estate": 154},
        "housing": {"for free": 179, "rent": 713, "own": 108},
    }
    for name, told in counts.items():
        assert loans[name].value_counts()[list(told)].to_dict() == told


def test_each_word_is_corrected_once() -> None:
    file = pd.read_csv(datasets.FOLDER / "german_credit.csv", keep_default_na=False)
    for name, words in datasets.CORRECTED_WORDS.items():
        assert set(words) == set(file[name])
        assert len(set(words.values())) == len(words)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(datasets.DatasetError, match=r"gone\.csv cannot be read"):
        datasets.load_german_credit(tmp_path / "gone.csv")


def test_a_path_that_no_file_could_have_is_refused() -> None:
    with pytest.raises(datasets.DatasetError, match="holds a zero byte"):
        datasets.load_german_credit(datasets.FOLDER / "german\0credit.csv")


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_bytes((datasets.FOLDER / "german_credit.csv").read_bytes()[:-100])
    with pytest.raises(datasets.DatasetError, match="expected 2c0bae00"):
        datasets.load_german_credit(other)
