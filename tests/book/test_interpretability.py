"""The verdicts on explanations: they turn when a map is of another image, or when the baseline is given the map."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tools.notebook_files import NOTEBOOKS, code_cells, read

pytestmark = pytest.mark.runs_chapters


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What the chapter defines of its data, classifier, maps and verdict; trained for a short while."""
    notebook = read(NOTEBOOKS / "interpretability.ipynb")
    sources = {cell.id.removeprefix("interpretability-"): cell.source for cell in code_cells(notebook)}
    found: dict[str, Any] = {"settings": SimpleNamespace(profile="quick", seed=0), "history": {}}
    for cell in ("imports", "config", "data", "plant", "reader", "maps", "rivals"):
        exec(sources[cell], found)
    found["config"].epochs = 3
    found["classifier"] = found["train_classifier"]("classifier", found["train"].images, found["train"].labels)
    exec(sources["delete"].partition("\n\n\nchance")[0], found)
    for cell, function in (("gap", "find_gap"), ("mark", "find_share"), ("verdict", "give_verdict")):
        parts = sources[cell].split("\n\n\n")
        exec(next(part for part in parts if f"def {function}(" in part), found | {"CORNER": np.s_[:6, 22:]}, found)
    yield found
    keras.backend.clear_session()


def test_interpretability_verdict_turns(names: dict[str, Any]) -> None:
    images = names["test"].images[:40]
    seen = np.asarray(names["classifier"](images)).argmax(axis=1)
    others = np.random.default_rng(0).permutation(40)

    def score(values: np.ndarray) -> np.ndarray:
        return 1 - names["delete"](images, seen, values).mean(axis=1)

    ink = score(images[..., 0])
    integrated, of_others = (
        score(names["integrate"](names["classifier"], images[order], seen[order])) for order in (np.arange(40), others)
    )
    verdict = names["give_verdict"]
    assert verdict(ink, integrated)[2] == "take the model"
    assert verdict(ink, of_others)[2] == "keep the baseline"
    assert verdict(integrated, integrated)[2] == "no difference"
    assert verdict(integrated, ink)[2] == "keep the baseline"


def test_interpretability_plants_what_it_says(names: dict[str, Any]) -> None:
    measured = names["measure"](names["test"].images)
    assert np.abs(measured[:, 0] - names["truth"][:, 0]).max() < 1.0
    assert np.corrcoef(measured[:, 1], names["truth"][:, 1])[0, 1] > 0.6


def test_interpretability_lead_knows_axes(names: dict[str, Any]) -> None:
    causes = np.random.default_rng(0).normal(size=(2_000, 2))
    turned = causes @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    assert names["find_gap"](causes, causes) > 0.9
    assert names["find_gap"](turned, causes) < 0.1


def test_interpretability_share_is_of_the_corner(names: dict[str, Any]) -> None:
    values = np.zeros((3, 28, 28))
    values[0, 2, 25], values[1, 20, 5] = -1.0, 1.0
    values[2] = 1.0
    assert names["find_share"](values).tolist() == pytest.approx([1.0, 0.0, 36 / 784])


def test_interpretability_interval_stays_open(names: dict[str, Any]) -> None:
    nothing, everything = np.zeros(50), np.ones(50)
    gap, (low, high), winner = names["give_verdict"](nothing, everything)
    assert (gap, winner) == (1.0, "take the model")
    assert 0.8 < low < 0.95 < high
    same = names["give_verdict"](everything, everything)
    assert same[1][0] < 0 < same[1][1]
    assert same[2] == "no difference"


def test_interpretability_maps_explain_log_odds(names: dict[str, Any]) -> None:
    images = names["test"].images[:20]
    logits = np.asarray(names["classifier"](images, training=False), float)
    seen = logits.argmax(axis=1)
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances = (chances / chances.sum(axis=1, keepdims=True))[np.arange(20), seen]
    odds = np.asarray(names["find_odds"](names["classifier"], images, seen), float)
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(chances, abs=1e-4)
    changes = odds - np.asarray(names["find_odds"](names["classifier"], 0 * images, seen))
    sums = names["integrate"](names["classifier"], images, seen).sum(axis=(1, 2))
    assert np.abs(sums - changes).mean() < 0.1 * np.abs(changes).mean()


def test_interpretability_rivals_are_near_and_of_another_class(names: dict[str, Any]) -> None:
    train, images = names["train"], names["test"].images[:10]
    classes = names["test"].labels[:10]
    rivals = names["find_rivals"](images, classes, train.images, train.labels)
    assert rivals.shape == (10, names["config"].integral_steps, 28, 28, 1)
    for image, label, own in zip(images, classes, rivals, strict=True):
        distances = np.square(train.images[train.labels != label] - image).sum(axis=(1, 2, 3))
        found = np.square(own - image).sum(axis=(1, 2, 3))
        assert found == pytest.approx(np.sort(distances)[: len(own)], rel=1e-3)


def test_interpretability_contrast_is_integrated_gradients_where_all_starts_are_one(names: dict[str, Any]) -> None:
    images, classes = names["test"].images[:5], names["test"].labels[:5]
    starts = np.full((5, names["config"].integral_steps, 28, 28, 1), 0.2, np.float32)
    maps = names["contrast"](names["classifier"], images, classes, starts)
    assert maps == pytest.approx(names["integrate"](names["classifier"], images, classes, start=0.2), abs=1e-3)
