"""The verdicts on fairness: they turn when the model is robbed of its input, or shares its output with the baseline."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tools.notebook_files import NOTEBOOKS, code_cells, read

pytestmark = pytest.mark.runs_chapters


@pytest.fixture(scope="module")
def fairness() -> dict[str, Any]:
    """What the chapter defines before it trains, and the function of its verdict."""
    sources = {
        cell.id.removeprefix("fairness-"): cell.source for cell in code_cells(read(NOTEBOOKS / "fairness.ipynb"))
    }
    names: dict[str, Any] = {"settings": SimpleNamespace(profile="quick", seed=0)}
    before = ["imports", "config", "data", "judge", "measure", "inspect", "models", "train", "loans", "rates"]
    for cell in [*before, "loan-run", "loan-score", "impossible", "verdict", "turned", "known"]:
        exec(sources[cell], names)
    for cell, first, last in (
        ("loan-offer", "def shuffle", "\n\n\ndef run"),
        ("coverage", "def find_kept", "\n\n\nrows"),
    ):
        exec(sources[cell].partition(last)[0], names)
        assert first in sources[cell]
    yield names
    keras.backend.clear_session()


def fairness_covered(names: dict[str, Any], images: np.ndarray) -> np.ndarray:
    """Which real sixes images resemble, by the chapter's measure."""
    return names["inspect"](images.astype(np.float32)).covered[names["is_six"]]


def test_fairness_verdict_on_sixes_turns(fairness: dict[str, Any]) -> None:
    rng, images, sixes = np.random.default_rng(0), fairness["images"], fairness["sixes"]
    few = fairness_covered(fairness, images[fairness["few"]])
    all_of_them = fairness_covered(fairness, images[sixes])  # as a model that has learnt what sixes are
    pixels = images[sixes].reshape(len(sixes), -1)
    shuffled = rng.permuted(pixels, axis=1).reshape(images[sixes].shape)
    robbed = fairness_covered(fairness, shuffled)
    give_verdict = fairness["give_verdict"]
    assert give_verdict(few, all_of_them)[3] == "take the model"
    assert give_verdict(few, robbed)[3] == "keep the baseline"
    assert give_verdict(all_of_them, all_of_them)[3] == "no difference"


def test_fairness_measure_refuses_what_it_must(fairness: dict[str, Any]) -> None:
    images, labels, sixes = (fairness[name] for name in ("images", "labels", "sixes"))
    rng = np.random.default_rng(0)
    mean = images[sixes].mean(axis=0, keepdims=True)
    noisy = fairness["data"].draw_class_gaussians(fairness["digits"].train, np.full(300, 6), 0)
    whole = fairness_covered(fairness, images[sixes]).mean()
    assert whole > 0.8
    for some in (images[labels == 5], rng.random((300, 28, 28, 1)), mean, noisy, images[sixes[:1]]):
        assert fairness_covered(fairness, some).mean() < 0.25 * whole


def test_fairness_copies_are_found_turned(fairness: dict[str, Any]) -> None:
    images, few, find_copied, turn = (fairness[name] for name in ("images", "few", "find_copied", "turn"))
    turned = np.stack([turn(image) for image in np.repeat(images[few], 10, axis=0)])
    unseen = fairness["held_images"][fairness["is_six"]]
    unseen_turned = np.stack([turn(image) for image in np.repeat(unseen, 3, axis=0)])
    assert find_copied(images[few]) == 100.0
    assert find_copied(turned) > 90.0
    assert find_copied(unseen) < 30.0
    pairs = images[few] + np.roll(images[few], 3, axis=0)
    assert find_copied(np.stack([turn(image / 2) for image in np.repeat(pairs, 3, axis=0)])) > 90.0
    unseen_pairs = (unseen + np.roll(unseen, 3, axis=0)) / 2
    assert find_copied(unseen_pairs) < 30.0
    assert find_copied(unseen_turned) < 30.0


def test_fairness_what_is_kept_is_above_the_floor(fairness: dict[str, Any]) -> None:
    assert fairness["find_kept"]([8.0, 8.0, 50.0]) == 0.0
    assert fairness["find_kept"]([8.0, 50.0, 50.0]) == pytest.approx(100.0)


def test_fairness_ratios_are_those_of_the_sums(fairness: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    part, whole = rng.random(10), 1 + rng.random(10)
    assert fairness["find_ratio"](part, whole).mean() == pytest.approx(part.sum() / whole.sum())
    assert fairness["find_ratio"](0.3 * whole, whole) == pytest.approx(np.full(10, 0.3))


def test_fairness_keeps_test_digits_out(fairness: dict[str, Any]) -> None:
    fairness["data"].refuse_held_out(fairness["images"], fairness["held_images"])


def fairness_rates(names: dict[str, Any], make: Any) -> list[dict[str, float]]:
    """The rates of the classifier that learns from what make does to the rows, in the first split."""
    rates = []
    for rows, learnt, fresh in names["split"](names["measured"], names["young"]):
        refused = names["foretell"](make(rows[learnt]), rows[fresh]) >= names["config"].break_even
        rates.append(names["find_rates"](refused, names["bad"][fresh], names["young"][fresh]))
    return rates


def test_fairness_verdict_on_loans_turns(fairness: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    plain = [one["profit"] for one in fairness_rates(fairness, lambda rows: rows)]

    def rob(rows: np.ndarray) -> np.ndarray:  # how the loans ended, given to others
        rows = rows.copy()
        rows[:, -1] = rng.permutation(rows[:, -1])
        return rows

    robbed = [one["profit"] for one in fairness_rates(fairness, rob)]
    give_verdict = fairness["give_verdict"]
    assert give_verdict(plain, robbed, 0.25)[3] == "keep the baseline"
    assert give_verdict(robbed, plain, 0.25)[3] == "take the model"
    assert give_verdict(plain, plain, 0.25)[3] == "no difference"


def test_fairness_columns_apart_keep_each_column(fairness: dict[str, Any]) -> None:
    rows = next(fairness["split"](fairness["measured"], fairness["young"]))[0]
    fairness["config"].times = 1
    made = fairness["shuffle_columns"](rows, np.random.default_rng(0))
    for ended in (0, 1):
        mine, theirs = made[made[:, -1] == ended], rows[rows[:, -1] == ended]
        assert np.array_equal(np.sort(mine, axis=0), np.sort(theirs, axis=0))
    assert not np.array_equal(made, rows)


def test_fairness_formula_is_exact(fairness: dict[str, Any]) -> None:
    for name in fairness["shapes"]:
        for threshold in (0.1, 0.3, 0.6):
            told = fairness["know"](name, threshold)
            by_rule = fairness["follow_rule"](told.bad, told.right, told.caught)
            assert by_rule == pytest.approx(told.refused_good)
