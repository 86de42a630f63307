"""Where a chapter starts: which profile, seed and device, and what is refused."""

import random
import sys

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from helpers.book import page, runtime


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch):
    """A machine without settings, with as many GPUs as it is told."""
    monkeypatch.delenv("BOOK_PROFILE", raising=False)
    monkeypatch.delenv("BOOK_SEED", raising=False)

    def give(gpus: int) -> None:
        found = {"GPU": ["a GPU"] * gpus, "CPU": ["a CPU"]}
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: found[kind])

    give(0)
    return give


@pytest.mark.parametrize(
    ("gpus", "expected"), [(0, ("quick", 0, "CPU")), (1, ("full", 0, "GPU")), (4, ("full", 0, "GPU"))]
)
def test_a_gpu_makes_the_full_profile_the_default(machine, gpus: int, expected: tuple) -> None:
    machine(gpus)
    assert runtime.start() == expected


@pytest.mark.parametrize(("gpus", "profile"), [(0, "full"), (1, "quick")])
def test_the_reader_may_choose_the_other_profile(
    machine, monkeypatch: pytest.MonkeyPatch, gpus: int, profile: str
) -> None:
    machine(gpus)
    monkeypatch.setenv("BOOK_PROFILE", profile)
    assert runtime.start().profile == profile


def test_settings_left_empty_are_as_if_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOK_PROFILE", "")
    monkeypatch.setenv("BOOK_SEED", "")
    assert runtime.start() == ("quick", 0, "CPU")


def test_the_run_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setenv("BOOK_SEED", "7")
    runtime.start()
    assert capsys.readouterr() == ("profile: quick · seed: 7 · device: CPU\n", "")


@pytest.mark.parametrize("profile", ["fast", "Quick", " quick", "quick,full"])
def test_an_unknown_profile_is_refused(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    monkeypatch.setenv("BOOK_PROFILE", profile)
    with pytest.raises(runtime.ProfileError, match=f"BOOK_PROFILE is '{profile}'; expected one of quick, full"):
        runtime.start()


@pytest.mark.parametrize("seed", ["-1", "1.5", "one", "0x10", "2147483648", "²", "1 2"])
def test_what_is_no_seed_is_refused(monkeypatch: pytest.MonkeyPatch, seed: str) -> None:
    if not seed.isascii() and sys.getfilesystemencoding() == "ascii":
        pytest.skip("no environment holds such a sign here")
    monkeypatch.setenv("BOOK_SEED", seed)
    with pytest.raises(
        runtime.ProfileError, match=f"BOOK_SEED is '{seed}'; expected a whole number from 0 to 2147483647"
    ):
        runtime.start()


def test_the_largest_seed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOK_SEED", "2147483647")
    assert runtime.start().seed == 2147483647


def draw_from_all() -> list[float]:
    return [random.random(), float(np.random.random()), float(tf.random.uniform(()))]  # noqa: NPY002


def test_the_seed_seeds_every_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for seed in ("3", "3", "4"):
        monkeypatch.setenv("BOOK_SEED", seed)
        runtime.start()
        drawn.append(draw_from_all())
    assert drawn[0] == drawn[1]
    assert all(one != other for one, other in zip(drawn[0], drawn[2], strict=True))


def test_words_stay_what_tables_expect() -> None:
    """By itself pandas 3 makes words another type, and a table of one column of words could not be shown."""
    runtime.start()
    assert pd.Series(["a", "b"]).dtype == object
    page.show_table(pd.DataFrame({"word": ["a", "b"]}), "words")
