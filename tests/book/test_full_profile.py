"""Every chapter's code runs in the full profile, with one batch an epoch; and no chapter trains on test images."""

import contextlib
import functools
import inspect
import io
import linecache
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf
from keras import tree

from helpers import data, plotting
from helpers.checks import IMAGE_SHAPE
from tests.apart import open_process
from tests.breakage_list import SPLITS_SWAPPED, Breakage, apply
from tests.memory import give_back_memory
from tools.notebook_files import ROOT, chapters, code_cells, read

pytestmark = [
    pytest.mark.runs_chapters,
    # What a network of one batch draws may lie far outside a figure, labels and all; in quick that would be a warning.
    pytest.mark.filterwarnings("ignore:constrained_layout not applied:UserWarning"),
]
# What whole numbers in a config are cut to, by the last word of their names; the others are users, units, dimensions.
REPEATED = {"epochs": 6, "looks": 8, "steps": 3, "samples": 6, "draws": 300, "copies": 4, "choices": 1}
SIZES = {"batch": 32, "size": 32, "images": 400, "shown": 16, "out": 32, "width": 32, "widths": 64}
MOST, MOST_OTHERS = REPEATED | SIZES, 100
CHAPTERS = {path.stem: path for path in chapters()}


class LeakedError(AssertionError):
    """Test images were handed to fit."""


@functools.cache
def small_mnist() -> data.Digits:
    """MNIST's stand-in: few of the small digits, enough for one batch and for every metric.

    Each test image is marked by an inked corner, which it keeps when its pixels are drawn Bernoulli.
    """
    train, validation, test = data.load_small_digits()[1:]
    marked = test.images[:100].copy()
    marked[:, 0, 0] = 1.0
    return data.Digits(
        "MNIST",
        data.Split(train.images[:400], train.labels[:400]),
        data.Split(validation.images[:100], validation.labels[:100]),
        data.Split(marked, test.labels[:100]),
    )


def count_marked(images: np.ndarray) -> int:
    return int(np.sum(images[:, 0, 0] == 1.0))


class OneBatchFit:
    """Stands in for keras.Model.fit: one batch in the first epoch, validation as it is; test images refused.

    Of later epochs only the callbacks are told, with what the first one gave.
    """

    def __init__(self) -> None:
        self.fit, self.calls = keras.Model.fit, 0
        self.signature = inspect.signature(self.fit)

    def __get__(self, model: keras.Model, owner: type) -> Callable:
        return functools.partial(self, model)

    def __call__(self, *given, **options) -> keras.callbacks.History:
        self.calls += 1
        arguments = self.signature.bind(*given, **options).arguments
        batch = arguments["x"]
        if isinstance(batch, tf.data.Dataset):
            batch = next(iter(batch))
            arguments["x"] = tf.data.Dataset.from_tensors(batch)
        handed = [batch, arguments.get("validation_data")]
        handed = [np.asarray(images) for images in tf.nest.flatten(handed) if np.shape(images)[1:] == IMAGE_SHAPE]
        if any(map(count_marked, handed)):
            raise LeakedError(f"fit was handed test images: {[count_marked(images) for images in handed]}")
        arguments["self"].steps_per_execution = 1
        later = range(arguments.get("initial_epoch", 0) + 1, arguments.get("epochs", 1))
        history = self.fit(**{**arguments, "epochs": later.start, "steps_per_epoch": 1, "verbose": 0})
        for epoch in later:
            logs = {name: values[0] for name, values in history.history.items()}
            for callback in arguments.get("callbacks") or ():
                callback.on_epoch_begin(epoch, logs)
                callback.on_epoch_end(epoch, logs)
            for name, value in logs.items():
                history.history[name].append(value)
        return history


def shrink(config: object) -> None:
    """Make a chapter's sizes small. Words, shares and the number of layers stay what they are in full."""
    for name, value in vars(config).items():
        most = MOST.get(name.rpartition("_")[2], MOST_OTHERS)
        cut = functools.partial(cut_whole, most=most)
        setattr(config, name, tree.map_structure(cut, value))


def cut_whole(value: object, most: int) -> object:
    """The value, at most so large where it is a whole number."""
    return min(value, most) if type(value) is int else value


def run_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Run a chapter's code cells in the full profile; return the names that they leave."""
    matplotlib.use("Agg")
    monkeypatch.setenv("BOOK_PROFILE", "full")
    monkeypatch.setattr(data, "load_mnist", small_mnist)
    monkeypatch.setattr(plotting, "_check_rows", lambda rows: None)  # of so few digits a row may get fewer than others
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))
    fit = OneBatchFit()
    monkeypatch.setattr(keras.Model, "fit", fit)
    names: dict[str, object] = {}
    for number, cell in enumerate(code_cells(read(path)), start=1):
        new = "config" not in names
        fails = "raises-exception" in cell.metadata.get("tags", [])
        with contextlib.suppress(Exception) if fails else contextlib.nullcontext():  # nbval sees that it does fail
            run_cell(cell.source, f"{path.name}, code cell {number}", names)
        if new and "config" in names:
            shrink(names["config"])
    assert fit.calls > 0
    return names


def run_cell(source: str, name: str, names: dict[str, object]) -> None:
    """Run a cell; its source can be found by its name, as in a kernel: a loop becomes part of a graph by its source."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), names)


class DryRun(NamedTuple):
    """What a chapter left: all it printed, the name of its digits if it has any, and its last history."""

    printed: str
    digits: str | None
    history: dict[str, list[float]]


def run_dry(path: Path) -> DryRun:
    """Run a chapter in the full profile without graphs of models: they take seconds, a waste where each runs once.

    nbval sees them built in quick. A chapter's own functions keep theirs: they stand in loops.
    """
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(keras.Model, "run_eagerly", property(lambda model: True, lambda model, value: None))
        names = run_full(path, patch)
    left = DryRun(printed.getvalue(), getattr(names.get("digits"), "name", None), names["history"])
    names.clear()
    plt.close("all")
    give_back_memory()
    return left


@pytest.fixture(scope="module")
def call_apart() -> Iterator[Callable]:
    """A process of its own for every so many chapters, of which each leaves some 60 MB."""
    with open_process(pieces=10) as call:
        yield call


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_runs_in_the_full_profile(chapter: str, call_apart: Callable) -> None:
    left = call_apart(run_dry, CHAPTERS[chapter])
    assert left.printed.startswith("profile: full · seed: 0 · device: ")
    assert left.digits in (None, "MNIST")
    assert "reference band" in left.printed
    assert not math.isnan(sum(sum(values) for values in left.history.values()))


# A break of a chapter's full branch, or test images in training, cannot pass.

FULL_BRANCH = [
    (Breakage("widths", "notebooks/vae.ipynb", "vae", {"else (300,)": "else 300"}), TypeError),
    (
        Breakage("steps", "notebooks/gan.ipynb", "gan", {"50 if quick else 125": "50 if quick else '125'"}),
        ValueError,
    ),
    (
        Breakage(
            "validation on test images",
            "notebooks/vae_math.ipynb",
            "vae_math",
            {"draw_binary(held, seed=1)": "draw_binary(digits.test.images, seed=1)"},
        ),
        LeakedError,
    ),
]
TRAINED_ON_TEST = [(breakage, LeakedError) for breakage in SPLITS_SWAPPED]


@pytest.mark.parametrize(
    ("breakage", "error"), [pytest.param(*pair, id=pair[0].name) for pair in FULL_BRANCH + TRAINED_ON_TEST]
)
def test_a_broken_chapter_is_caught(
    breakage: Breakage, error: type | tuple, tmp_path: Path, call_apart: Callable
) -> None:
    path = tmp_path / breakage.file
    path.parent.mkdir()
    shutil.copy(ROOT / breakage.file, path)
    apply(breakage, tmp_path)
    with pytest.raises(error):
        call_apart(run_dry, path)
