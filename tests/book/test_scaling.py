"""The verdicts of the scaling chapter turn where they should; its laws, its bill and its two wrong models are so."""

from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest

from tools.notebook_files import NOTEBOOKS, code_cells, read

pytestmark = pytest.mark.runs_chapters
SIZES = np.array([1e3, 2e3, 4e3, 8e3, 16e3, 64e3])


def count_bits(scaling: dict[str, Any], text: Any) -> Any:
    """Bits a character of the test text, by part, for a table that has read this text."""
    return scaling["count_bits"](scaling["count"](text.tolist()))


@pytest.fixture(scope="module")
def scaling() -> dict[str, Any]:
    """What cells of the chapter define, and the function of its verdict."""
    sources = {cell.id.removeprefix("scaling-"): cell.source for cell in code_cells(read(NOTEBOOKS / "scaling.ipynb"))}
    names: dict[str, Any] = {"settings": SimpleNamespace(profile="quick", seed=0)}
    forecasts = sources["forecast"].partition("\n\n\nrungs")[0]
    measure = sources["measure"].partition("\n\n\ncurves")[0]
    bits = sources["counted"].partition("\n\n\ncounted")[0]
    laws = sources["joint"].partition("\n\n\nn = ")[0]
    for source in (sources["imports"], sources["config"], sources["text"], sources["network"], sources["train"]):
        exec(source, names)
    for source in (measure, sources["law"], forecasts, sources["count"], bits, laws, sources["nearest"]):
        exec(source, names)
    names["price"] = sources["price"].partition("\n\n\n")[0]
    names["spent_functions"] = (
        "def find_spent" + sources["spent"].partition("def find_spent")[2].partition("\n\n\nspent,")[0]
    )
    names["find_wanted"] = (
        "def find_wanted" + sources["forecast"].partition("def find_wanted")[2].partition("\n\n\nwanted")[0]
    )
    vars(names["config"]).update(looks=2, look_steps=250)
    yield names
    keras.backend.clear_session()


def test_scaling_verdict_turns_where_the_text_is_shuffled_or_shared(scaling: dict[str, Any]) -> None:
    network, robbed = (scaling["measure"](scaling["train"](32, scaling["train_text"], mixed)[0]) for mixed in (0, 1))
    some = count_bits(scaling, scaling["train_text"][:1_000])  # a table that has read next to nothing
    give_verdict = scaling["give_verdict"]
    assert give_verdict(some, network)[2] == "take the model"
    assert give_verdict(some, robbed)[2] != "take the model"
    assert give_verdict(network, network)[2] == "no difference"
    assert give_verdict(network, robbed)[2] == "keep the baseline"


@pytest.mark.parametrize(
    ("truth", "nearest"),
    [
        (lambda size: 8 * size**-0.12, "power law"),
        (lambda size: 6 - 0.35 * np.log(size), "line"),
        (lambda size: 1 + 30 * size**-0.5, "power law + floor"),
    ],
)
def test_scaling_the_true_form_is_the_nearest(scaling: dict[str, Any], truth: Any, nearest: str) -> None:
    rng, forms = np.random.default_rng(0), ["power law", "line", "power law + floor"]
    if nearest == "power law":  # a floor of nothing is the same law, so neither would win
        forms.remove("power law + floor")
    trainings = [truth(SIZES) + rng.normal(scale=3e-3, size=len(SIZES)) for _ in range(40)]
    misses = {form: [scaling["forecast"](form, SIZES, losses) for losses in trainings] for form in forms}
    assert scaling["give_nearest"](misses) == nearest
    same = dict.fromkeys(forms, misses["line"])
    assert scaling["give_nearest"](same) == "no winner"
    assert scaling["give_nearest"]({form: values[:1] for form, values in misses.items()}) == "one training only"


def test_scaling_joint_laws_differ_where_one_is_short(scaling: dict[str, Any]) -> None:
    add_up, hold_back = scaling["add_up"], scaling["hold_back"]
    for law, fitted, alike in ((add_up, (1, 0.5, 0.3, 0.5, 0.3), True), (hold_back, (0.5, 0.1, 0.5, 0.3), False)):
        gains = [law(fitted, 1.0, text) - law(fitted, 4.0, text) for text in (0.01, 1.0)]
        assert (abs(gains[0] / gains[1] - 1) < 1e-9) == alike
        assert gains[1] >= gains[0] - 1e-9 > 0


def test_scaling_each_form_finds_its_own_law(scaling: dict[str, Any]) -> None:
    laws = {"power law": 8 * SIZES**-0.12, "line": 6 - 0.3 * np.log(SIZES), "power law + floor": 1 + 9 * SIZES**-0.2}
    for form, losses in laws.items():
        assert abs(scaling["forecast"](form, SIZES, losses)) < 0.02
    assert scaling["forecast"]("no gain", SIZES, laws["line"]) > 0.3


def test_scaling_only_networks_that_have_spent_a_budget_are_compared(scaling: dict[str, Any]) -> None:
    names = dict(scaling, curves={4: np.array([5.0, 4.0]), 8: np.array([3.5, 2.0]), 16: np.array([3.0, 1.0])})
    names |= {"weights": {4: 10, 8: 20, 16: 40}, "looked_up": 0, "each": 1, "signs": range(8)}
    exec(scaling["spent_functions"], names)
    costs = names["find_spent"](0)
    assert set(names["find_reached"](120, costs)) == {4, 8}  # 4 ends there, 16 has not begun
    assert set(names["find_reached"](121, costs)) == {8}
    assert names["find_best"](240, costs) == (2.0, 8)  # of 8 and 16
    assert names["find_best"](1e9, costs) == (3.0, 0)  # nobody: eight signs, all alike


def test_scaling_wanted_size_is_the_bottom_of_the_losses(scaling: dict[str, Any]) -> None:
    names = dict(scaling, each=1, find_reached=lambda budget, costs: {4: 2.0, 8: 1.0, 16: 2.0, 32: 5.0})
    exec(scaling["find_wanted"], names)
    costs = {width: [6.0 * width] for width in (4, 8, 16, 32)}
    assert names["find_wanted"](1.0, costs) == pytest.approx(8)
    names["find_reached"] = lambda budget, costs: {8: 1.0, 16: 2.0, 32: 3.5}  # falls to its end: no further
    assert names["find_wanted"](1.0, costs) == pytest.approx(8)


def test_scaling_exponents_are_those_of_the_law(scaling: dict[str, Any]) -> None:
    for form, losses in (("power law", 8 * SIZES**-0.12), ("power law + floor", 2 + 9 * SIZES**-0.2)):
        assert scaling["find_exponent"](scaling["FORMS"][form](SIZES, losses)) == pytest.approx(
            0.12 if form == "power law" else 0.2, abs=0.02
        )


def test_scaling_bill_is_the_published_one(scaling: dict[str, Any]) -> None:
    exec(scaling["price"], scaling)
    assert scaling["find_price"](3.14e23, 24.6e12, 330)[1] == pytest.approx(1_287, abs=1)


def test_scaling_counts_know_what_they_have_read(scaling: dict[str, Any]) -> None:
    scaling["config"].parts = 20
    read_it = count_bits(scaling, scaling["test_text"]).mean()
    assert read_it < 1.0 < count_bits(scaling, scaling["train_text"][:20_000]).mean()
    chances = scaling["guess_from"](scaling["count"](scaling["test_text"].tolist()), [1, 2, 3, 4, 5])
    assert chances.sum() == pytest.approx(1, abs=1e-6)
    assert chances.min() > 0
