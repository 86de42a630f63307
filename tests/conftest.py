"""Fixtures that several test files share."""

from collections.abc import Callable, Iterator

import pytest

from helpers import data
from helpers.scorecard import Scorer
from tests.memory import give_back_memory
from tests.soaking import Soak


@pytest.fixture(scope="module", autouse=True)
def clear_after_file(request: pytest.FixtureRequest) -> Iterator[None]:
    """What one file built, or keeps in a cache, does not wait in memory for the end of its process."""
    yield
    for value in vars(request.module).values():
        if hasattr(value, "cache_clear") and value.__module__ == request.module.__name__:
            value.cache_clear()
    give_back_memory()


@pytest.fixture(scope="module")
def digits() -> data.Digits:
    """The digits that scikit-learn ships."""
    return data.load_small_digits()


@pytest.fixture(scope="module")
def scorer(digits: data.Digits) -> Scorer:
    """The scorecard for them."""
    return Scorer(digits)


@pytest.fixture
def soak(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Soak:
    """For a test marked soak: short in `make test`, long in `make soak`, where it also tells its figures."""
    return Soak(request.config.getoption("soak"), record_property)
