"""The verdicts of the entertainment chapter come out both ways: by the code of its page, on a small run."""

import ast
import functools
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest

from tools.notebook_files import ROOT, code_cells, read

pytestmark = pytest.mark.runs_chapters


# Entertainment

ENTERTAINMENT = ("02", "03", "style", "shear", "plain", "model", "class", "training", "tries")


@functools.cache
def entertainment() -> dict[str, Any]:
    """What the chapter defines before it runs, and a conditional VAE trained for a second."""
    matplotlib.use("Agg")
    names: dict[str, Any] = {"settings": SimpleNamespace(profile="quick", seed=0)}
    cells = {cell.id: cell.source for cell in code_cells(read(ROOT / "notebooks" / "entertainment.ipynb"))}
    for name in ENTERTAINMENT:
        exec(cells[f"entertainment-{name}"], names)
    rule = ast.parse(cells["entertainment-decide"]).body[0]  # the function; what follows it needs all of the run
    exec(ast.unparse(rule), names)
    train, test = names["train"], names["digits"].test
    told = names["tell"](train.labels, names["styles"])
    names["vae"] = names["train_vae"]("small", train.images, told, 8, 300)
    names["asked"] = test.labels, names["measure_style"](test.images)
    return names


def entertainment_gain(wish: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """What the model gains over the sheared mean on test digits, nats each, when it is told this wish."""
    names = entertainment()
    images = names["digits"].test.images
    of_mean = names["price_mean"](images, names["draw_mean"](*names["asked"]), 0.001)
    return of_mean - names["price_model"](names["vae"], images, names["tell"](*wish))


def test_entertainment_verdict_is_the_models_and_turns_where_its_wishes_are_mixed() -> None:
    names = entertainment()
    labels, styles = names["asked"]
    mixed = np.random.default_rng(0).permutation(len(labels))
    assert names["decide"](entertainment_gain((labels, styles)))["verdict"] == "model"
    assert names["decide"](entertainment_gain((labels[mixed], styles[mixed])))["verdict"] == "plain"


def test_entertainment_verdict_turns_where_the_plain_way_has_the_models_output() -> None:
    names = entertainment()
    images = names["digits"].test.images
    price = names["price_model"](names["vae"], images, names["tell"](*names["asked"]))
    assert names["decide"](price - price)["verdict"] == "nobody"


def test_entertainment_slant_is_the_plain_ways_and_turns_where_it_draws_what_the_model_drew() -> None:
    names = entertainment()
    labels, styles = names["asked"]
    noise = np.random.default_rng(0).standard_normal((len(labels), 8)).astype(np.float32)
    logits = names["vae"].decoder((noise, names["tell"](labels, styles)))
    by_model = (1 / (1 + np.exp(-np.asarray(logits)))).astype(np.float32)
    by_mean = names["draw_mean"](labels, styles)

    def miss(images: np.ndarray) -> np.ndarray:
        return np.abs(names["measure_style"](images)[:, 0] - styles[:, 0])

    assert names["decide"](miss(by_mean) - miss(by_model))["verdict"] == "plain"
    assert names["decide"](miss(by_model) - miss(by_model))["verdict"] == "nobody"


def test_entertainment_shear_changes_the_measured_slope_by_what_was_asked() -> None:
    names = entertainment()
    images = names["digits"].test.images[:50]
    slopes = np.linspace(-0.5, 0.5, 50)
    change = names["measure_style"](names["shear"](images, slopes))[:, 0] - names["measure_style"](images)[:, 0]
    np.testing.assert_allclose(change, slopes, atol=1e-4)


@pytest.mark.parametrize(("gain", "verdict"), [(1.0, "model"), (-1.0, "plain"), (0.0, "nobody")])
def test_entertainment_decide_can_come_out_each_way(gain: float, verdict: str) -> None:
    noise = np.tile([-1.0, 1.0], 50)
    assert entertainment()["decide"](gain + noise)["verdict"] == verdict
