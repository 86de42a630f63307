"""Small tables that the book carries: `helpers/datasets/`, each with its source and licence in the README there."""

import hashlib
from pathlib import Path

import pandas as pd

from helpers.arguments import check_kind, check_path

FOLDER = Path(__file__).parent.parent / "datasets"
GERMAN_CREDIT_SHA256 = "2c0bae00275c028fc853a1ea72cc7a68002c3f6876c41300c5c948711540c8c6"

# {column: {word in the file: what its code means}}, by the corrected code table of Groemping 2019
CORRECTED_WORDS = {
    "status_of_existing_checking_account": {
        "... < 0 DM": "no checking account",
        "0 <= ... < 200 DM": "... < 0 DM",
        "... >= 200 DM / salary assignments for at least 1 year": "0 <= ... < 200 DM",
        "no checking account": "... >= 200 DM / salary for at least 1 year",
    },
    "credit_history": {
        "no credits taken/ all credits paid back duly": "delay in paying off in the past",
        "all credits at this bank paid back duly": "critical account/ other credits elsewhere",
        "existing credits paid back duly till now": "no credits taken/ all credits paid back duly",
        "delay in paying off in the past": "existing credits paid back duly till now",
        "critical account/ other credits existing (not at this bank)": "all credits at this bank paid back duly",
    },
    "purpose": {
        "car (new)": "others",
        "car (used)": "car (new)",
        "furniture/equipment": "car (used)",
        "radio/television": "furniture/equipment",
        "domestic appliances": "radio/television",
        "repairs": "domestic appliances",
        "education": "repairs",
        "retraining": "vacation",
        "business": "retraining",
        "others": "business",
    },
    "savings_account_and_bonds": {
        "... < 100 DM": "unknown/ no savings account",
        "100 <= ... < 500 DM": "... < 100 DM",
        "500 <= ... < 1000 DM": "100 <= ... < 500 DM",
        "... >= 1000 DM": "500 <= ... < 1000 DM",
        "unknown/ no savings account": "... >= 1000 DM",
    },
    "property": {
        "real estate": "unknown / no property",
        "building society savings agreement/ life insurance": "car or other",
        "car or other, not in attribute Savings account/bonds": "building society savings agreement/ life insurance",
        "unknown / no property": "real estate",
    },
    "housing": {"rent": "for free", "own": "rent", "for free": "own"},
}


class DatasetError(ValueError):
    """A table that comes with the book is missing, or is not the one that the book was written with."""


def load_german_credit(path: Path = FOLDER / "german_credit.csv") -> pd.DataFrame:
    """Return 1,000 loans of a German bank, a row each: 20 columns told when it was asked for, and how it ended.

    The last column, creditability, is "good" or "bad". The words of six columns are interchanged in the file, as
    everywhere; here they stand corrected. Raises DatasetError where the file is missing or another one.
    Source: Hofmann 1994, doi 10.24432/C5NC77; the words: Groemping 2019, South German Credit.
    """
    check_kind(Path, "a pathlib.Path", DatasetError, path=path)
    check_path(path, DatasetError)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror}); install the book's helpers again.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != GERMAN_CREDIT_SHA256:
        raise DatasetError(
            f"{path} has the SHA-256 {found[:8]}..., expected {GERMAN_CREDIT_SHA256[:8]}...; it was changed or cut "
            "off: take the book's own."
        )
    loans = pd.read_csv(path, keep_default_na=False)
    for name, words in CORRECTED_WORDS.items():
        loans[name] = loans[name].map(words)
    return loans
