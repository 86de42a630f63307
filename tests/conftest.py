"""Fixtures that several test files share."""

import pytest

from helpers import data
from helpers.scorecard import Scorer


@pytest.fixture(scope="module")
def digits() -> data.Digits:
    """The digits that scikit-learn ships."""
    return data.load_small_digits()


@pytest.fixture(scope="module")
def scorer(digits: data.Digits) -> Scorer:
    """The scorecard for them."""
    return Scorer(digits)
