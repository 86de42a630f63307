"""The verdicts of the scaling chapter turn where they should; its laws, its bill and its two wrong models are so."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tools.notebook_files import NOTEBOOKS, code_cells, read

pytestmark = pytest.mark.runs_chapters
SIZES = np.array([1e3, 2e3, 4e3, 8e3, 16e3, 64e3])


@pytest.fixture(scope="module")
def scaling() -> dict[str, Any]:
    """What cells of the chapter define, and the function of its verdict."""
    sources = {cell.id.removeprefix("scaling-"): cell.source for cell in code_cells(read(NOTEBOOKS / "scaling.ipynb"))}
    names: dict[str, Any] = {"settings": SimpleNamespace(profile="quick", seed=0)}
    verdict = sources["verdict"].partition("\n\n\n")[0]
    assert verdict.startswith("def give_verdict")
    forecasts = sources["forecast"].partition("\n\n\nrungs")[0]
    measure = sources["measure"].partition("\n\n\ncurves")[0]
    count = sources["count"].partition("\n\n\ncounted")[0]
    for source in (sources["imports"], sources["config"], sources["text"], sources["network"], sources["train"]):
        exec(source, names)
    for source in (measure, sources["law"], forecasts, count, verdict):
        exec(source, names)
    names["price"] = sources["price"].partition("\n\n\n")[0]
    vars(names["config"]).update(looks=2, look_steps=250)
    yield names
    keras.backend.clear_session()


def test_scaling_verdict_turns_where_the_text_is_shuffled_or_shared(scaling: dict[str, Any]) -> None:
    network, robbed = (scaling["measure"](scaling["train"](32, scaling["train_text"], mixed)[0]) for mixed in (0, 1))
    some = scaling["count_bits"](scaling["train_text"][:1_000])  # a table that has read next to nothing
    give_verdict = scaling["give_verdict"]
    assert give_verdict(some, network)[2] == "take the model"
    assert give_verdict(some, robbed)[2] != "take the model"
    assert give_verdict(network, network)[2] == "no difference"
    assert give_verdict(network, robbed)[2] == "keep the baseline"


@pytest.mark.parametrize(
    ("truth", "verdict"),
    [(lambda size: 8 * size**-0.12, "take the model"), (lambda size: 6 - 0.35 * np.log(size), "keep the baseline")],
)
def test_scaling_verdict_on_forecasts_goes_to_the_true_form(scaling: dict[str, Any], truth: Any, verdict: str) -> None:
    noise = np.random.default_rng(0).normal(scale=0.005, size=(len(SIZES), 20))
    by_part = truth(SIZES)[:, None] + noise
    line, power = (abs(scaling["forecast"](form, SIZES, by_part)) for form in ("line", "power law"))
    assert scaling["give_verdict"](line, power)[2] == verdict


def test_scaling_each_form_finds_its_own_law(scaling: dict[str, Any]) -> None:
    laws = {"power law": 8 * SIZES**-0.12, "line": 6 - 0.3 * np.log(SIZES), "power law + floor": 1 + 9 * SIZES**-0.2}
    for form, losses in laws.items():
        assert abs(scaling["forecast_mean"](form, SIZES, losses[:, None])) < 0.02
    assert scaling["forecast_mean"]("no gain", SIZES, laws["line"][:, None]) > 0.3


def test_scaling_bill_is_the_published_one(scaling: dict[str, Any]) -> None:
    exec(scaling["price"], scaling)
    assert scaling["find_price"](3.14e23, 24.6e12, 330)[1] == pytest.approx(1_287, abs=1)


def test_scaling_counts_know_what_they_have_read(scaling: dict[str, Any]) -> None:
    scaling["config"].parts = 20
    read_it = scaling["count_bits"](scaling["test_text"]).mean()
    assert read_it < 1.0 < scaling["count_bits"](scaling["train_text"][:20_000]).mean()
