"""Small tables that the book carries: `helpers/datasets/`, each with its source and licence in the README there."""

import hashlib
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent.parent / "datasets"
GERMAN_CREDIT_SHA256 = "2c0bae00275c028fc853a1ea72cc7a68002c3f6876c41300c5c948711540c8c6"


class DatasetError(ValueError):
    """A table that comes with the book is missing, or is not the one that the book was written with."""


def load_german_credit(path: Path = FOLDER / "german_credit.csv") -> pd.DataFrame:
    """Return 1,000 loans of a German bank, a row each: 20 columns told when it was asked for, and how it ended.

    The last column, creditability, is "good" or "bad". Raises DatasetError where the file is missing or another one.
    Source: Hofmann 1994, doi 10.24432/C5NC77.
    """
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
    return pd.read_csv(path, keep_default_na=False)
