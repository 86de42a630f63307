"""The verdicts of the chapter on modalities come out both ways: by the code of its page, on a small run."""

from types import SimpleNamespace
from typing import Any

import keras
import matplotlib
import numpy as np
import pytest

from tools.notebook_files import NOTEBOOKS, code_cells, read

pytestmark = pytest.mark.runs_chapters
FIRST = ("imports", "config", "world", "pictures", "held")
CELLS = (*FIRST, "plain", "networks", "class", "training", "users", "rule")


@pytest.fixture(scope="module")
def modalities() -> dict[str, Any]:
    """What the chapter defines before it trains, its rule of verdicts, and a painter trained for two seconds."""
    matplotlib.use("Agg")
    sources = {
        cell.id.removeprefix("modalities-"): cell.source for cell in code_cells(read(NOTEBOOKS / "modalities.ipynb"))
    }
    names: dict[str, Any] = {"settings": SimpleNamespace(profile="quick", seed=0)}
    for cell in CELLS:
        exec(sources[cell], names)
    for cell, function in (("prices", "price_model"), ("verdict", "give_verdict")):
        found = [part for part in sources[cell].split("\n\n\n") if part.startswith(f"def {function}")]
        exec(found[0], names)
    given = names["pictures"], names["sentences"], 900, 4e-3
    names["painter"] = names["train_model"]("small", names["make_painter"](names["config"].code), *given)
    yield names
    keras.backend.clear_session()


def saved_by(names: dict[str, Any], tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What rules and painter save on held-out pictures, in nats, where the painter is told these sentences."""
    unseen = names["unseen"]
    by_rules = names["price_pixels"](unseen.images, names["draw_rule"](unseen.words), 0.001)
    return -by_rules, -names["price_model"](names["painter"], unseen.images, tokens)


def test_modalities_verdict_is_the_painters_and_turns_where_its_sentences_are_mixed(modalities: dict[str, Any]) -> None:
    tokens, give_verdict = modalities["unseen"].tokens, modalities["give_verdict"]
    mixed = np.random.default_rng(0).permutation(len(tokens))
    assert give_verdict(*saved_by(modalities, tokens))[2] == "take the model"
    assert give_verdict(*saved_by(modalities, tokens[mixed]))[2] == "keep the plain way"


def test_modalities_verdict_turns_where_the_rules_have_the_painters_output(modalities: dict[str, Any]) -> None:
    _, by_painter = saved_by(modalities, modalities["unseen"].tokens)
    assert modalities["give_verdict"](by_painter, by_painter)[2] == "no difference"


@pytest.mark.parametrize(("gain", "verdict"), [(1, "take the model"), (-1, "keep the plain way"), (0, "no difference")])
def test_modalities_verdict_can_come_out_each_way(modalities: dict[str, Any], gain: int, verdict: str) -> None:
    plain = np.arange(100.0)
    assert modalities["give_verdict"](plain, plain + gain + np.tile([-0.5, 0.5], 50))[2] == verdict


def test_modalities_every_word_is_trained_and_no_held_out_combination_is(modalities: dict[str, Any]) -> None:
    words = modalities["every"].words[modalities["known"]]
    assert not modalities["is_held_out"](*words.T).any()
    assert modalities["is_held_out"](*modalities["unseen"].words.T).all()
    assert not modalities["is_held_out"](*modalities["seen"].words.T).any()
    for first, second in ((0, 1), (0, 2), (1, 2)):  # every pair of words is trained, not every three
        assert len(np.unique(words[:, [first, second]], axis=0)) == (9 if first else 30)


def test_modalities_a_style_is_what_its_words_say(modalities: dict[str, Any]) -> None:
    every, config = modalities["every"], modalities["config"]
    slopes = modalities["measure_slope"](every.images) - modalities["usual"][every.words[:, 0]]
    plain = every.words[:, 1] == 1
    for lean in range(3):
        mean = slopes[plain & (every.words[:, 2] == lean)].mean()
        assert abs(mean - config.lean * (lean - 1)) < 0.03
    ink = [every.images[every.words[:, 1] == pen].mean() for pen in range(3)]
    assert ink[0] < 0.8 * ink[1] < 0.8 * 0.8 * ink[2]


def test_modalities_where_pairs_are_held_out_each_digit_lacks_one_pen(modalities: dict[str, Any]) -> None:
    sources = {cell.id: cell.source for cell in code_cells(read(NOTEBOOKS / "modalities.ipynb"))}
    names: dict[str, Any] = {}
    exec(sources["modalities-pairs"].split("\n\n\n")[0], names)
    digits, pens, leans = np.indices((10, 3, 3))
    gone = names["lacks_pair"](digits, pens, leans)
    assert (gone.all(axis=2).sum(axis=1) == 1).all()  # one pen, in all three slants
    assert gone.sum() == 30
    assert gone[3, 2].all()  # no three is ever thick


@pytest.mark.parametrize("way", ["new word", "small adapter"])
def test_modalities_of_the_words_only_the_new_one_learns(modalities: dict[str, Any], way: str) -> None:
    sources = {cell.id: cell.source for cell in code_cells(read(NOTEBOOKS / "modalities.ipynb"))}
    names = modalities | {"START": len(modalities["VOCABULARY"]) - 1}
    names["start"] = modalities["painter"].get_weights()
    for cell in ("adapter", "learn"):
        exec(sources[f"modalities-{cell}"], names)
    adapter, pool = names["Adapter"](way), modalities["pools"]["Ada"]
    given = names["tf"].constant(pool.images[:20]), names["tf"].constant(pool.tokens[:20])
    adapter.restart(0.01)
    names["learn"](adapter, *given, 0, 3)  # eagerly
    before, after = names["start"], adapter.model.reader.get_weights()[0]
    changed = np.flatnonzero(np.abs(after - before[0]).max(axis=1) > 0)
    assert changed.tolist() == [names["START"]]
    assert (len(adapter.variables) > 1) == (way == "small adapter")


def test_modalities_a_stretch_of_the_file_is_one_hand_and_its_digits_are_not_trained_on(
    modalities: dict[str, Any],
) -> None:
    scans, starts = modalities["load_digits"]().data, modalities["WRITERS"]
    hands = np.repeat(np.arange(14), np.diff(starts))
    squares = (scans**2).sum(axis=1)
    apart = squares[:, None] + squares - 2 * scans @ scans.T
    np.fill_diagonal(apart, np.inf)
    nearest = apart.argmin(axis=1)
    mixed = np.random.default_rng(0).permutation(hands)
    assert (hands[nearest] == hands).mean() > 0.5
    assert (mixed[nearest] == mixed).mean() < 0.1
    trained = {image.tobytes() for image in modalities["train"].images}
    for writer in ("Dee", "Eli"):
        assert len(modalities["pools"][writer].labels) > 100
        assert not any(image.tobytes() in trained for image in modalities["pools"][writer].images)
    given, priced = modalities["pick"]("Dee", 20, np.random.default_rng(0))
    assert not {image.tobytes() for image in given.images} & {image.tobytes() for image in priced.images}


def test_modalities_the_table_of_ink_holds_no_held_out_combination() -> None:
    sources = {cell.id: cell.source for cell in code_cells(read(NOTEBOOKS / "modalities.ipynb"))}
    lines = [line for line in sources["modalities-measure"].splitlines() if line.startswith("np.add.at(ink_of")]
    assert len(lines) == 1
    assert "every.words[known]" in lines[0]
    assert "pictures.mean" in lines[0]
