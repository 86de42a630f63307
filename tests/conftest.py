"""Fixtures that several test files share."""

import gc
from collections.abc import Iterator

import keras
import pytest

from helpers import data
from helpers.scorecard import Scorer


@pytest.fixture(scope="module", autouse=True)
def clear_keras() -> Iterator[None]:
    """What one file built does not wait in memory for the end of its process: graphs refer to each other in circles."""
    yield
    keras.backend.clear_session()
    gc.collect()


@pytest.fixture(scope="module")
def digits() -> data.Digits:
    """The digits that scikit-learn ships."""
    return data.load_small_digits()


@pytest.fixture(scope="module")
def scorer(digits: data.Digits) -> Scorer:
    """The scorecard for them."""
    return Scorer(digits)
