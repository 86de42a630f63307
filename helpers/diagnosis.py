"""Reading a GAN's training history: what kind of run it was, as far as its curves can tell."""

from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
from sklearn.neighbors import NearestNeighbors

from helpers.arguments import check_kind, check_same_length
from helpers.checks import ImageError, check_numbers, check_series, read_numbers

KINDS = ("healthy", "discriminator winning", "collapsed", "not converged")
SERIES = ("d_real", "d_fake", "spread")
FEWEST_LOOKS = 8  # two in each quarter of the run

# Chosen on runs with seeds from 100 on; the record of studies/diagnosis.py, on others, shows how far each group lies
# from its threshold.
WON_GAP = 0.8  # between the two answers: an even contest keeps it small, a lost one drives it to 1
MOVED = 0.1  # from one quarter to the next: an ended run changes by less, one stopped early by more
COLLAPSED_SPREAD = 0.5  # halfway between copies, at 0, and real images, at 1


class HistoryError(ValueError):
    """A training history lacks a series, or is too short to read."""


class SpreadRecorder(keras.callbacks.Callback):
    """Adds to a history, at the end of each epoch, the series "spread": how unlike each other a model's samples are.

    draw: from latent vectors, (count, latent_size), to images, as GAN.generate; the vectors stay the same.
    real: images, (count, 28, 28, 1), as many, because the nearest of more is nearer; their spread is the unit.
    """

    def __init__(self, draw: Callable[[np.ndarray], np.ndarray], latent: np.ndarray, real: np.ndarray) -> None:
        check_kind(Callable, "a function, such as gan.generate", draw=draw)
        check_numbers(ImageError, 2, real=real)
        check_same_length({"latent": latent, "real": real})
        super().__init__()
        self.draw, self.latent, self.unit = draw, latent, measure_spread(real)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write into the logs of the epoch, from which Keras makes the history."""
        if logs is not None:
            logs["spread"] = measure_spread(self.draw(self.latent)) / self.unit


def measure_spread(images: np.ndarray) -> float:
    """Return the mean distance of each image, (count, 28, 28, 1), to the nearest other one, NaN for images with NaN.

    Blocks of 4 by 4 pixels are averaged first, so that speckle does not count as variety. Near zero: copies. Raises
    ImageError for fewer than two images, or of another size.
    """
    check_numbers(ImageError, 2, images=images)
    _check_size(images)
    blocks = np.reshape(images, (len(images), 7, 4, 7, 4)).mean(axis=(2, 4)).reshape(len(images), -1)  # (count, 49)
    if not np.isfinite(blocks).all():
        return float("nan")
    return float(NearestNeighbors(n_neighbors=1).fit(blocks).kneighbors()[0].mean())


def diagnose(history: Mapping[str, Sequence[float]]) -> str:
    """Return the kind of run, one of KINDS, that a GAN's history shows, {name: values by epoch}.

    Needs the series of SERIES: the discriminator's mean answers to real and to generated images, as GAN records them,
    and the spread of SpreadRecorder, because collapse need not show in any loss. A history with a value that is not
    finite is of a run that diverged: "not converged". A discriminator that wins is named before what it leads to, and
    a series that still moves before its level, which will change. Raises HistoryError for a missing series, unequal
    lengths, or fewer than FEWEST_LOOKS values.
    """
    _check_history(history)
    lengths = {name: len(history[name]) for name in SERIES if name in history}
    if missing := [name for name in SERIES if name not in lengths]:
        raise HistoryError(
            f"the history has no {', '.join(missing)}; expected {', '.join(SERIES)}. Train with models.GAN and "
            "diagnosis.SpreadRecorder among the callbacks."
        )
    if len(set(lengths.values())) > 1 or min(lengths.values()) < FEWEST_LOOKS:
        raise HistoryError(f"the series hold {lengths} values; expected as many of each, {FEWEST_LOOKS} or more.")
    if not all(np.isfinite(values).all() for values in history.values()):
        return "not converged"
    real, fake, spread = (np.asarray(history[name], np.float64) for name in SERIES)
    before, gap = compare_quarters(real - fake)
    if gap > WON_GAP:
        return "discriminator winning"
    spread_before, last_spread = compare_quarters(spread)
    if abs(gap - before) > MOVED or abs(last_spread - spread_before) > MOVED * spread_before:
        return "not converged"
    return "collapsed" if last_spread < COLLAPSED_SPREAD else "healthy"


def compare_quarters(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the means of a series over the last quarter but one and the last, of values, (count,), 4 or more.

    Raises HistoryError for fewer.
    """
    check_series(HistoryError, 4, values=values)
    length = len(values) // 4
    return float(np.mean(values[-2 * length : -length])), float(np.mean(values[-length:]))


def _check_size(images: np.ndarray) -> None:
    if np.size(images) != len(images) * 28 * 28:
        raise ImageError(f"images have shape {np.shape(images)}, expected (count, 28, 28, 1), of 784 pixels each.")


def _check_history(history: Mapping[str, Sequence[float]]) -> None:
    if not isinstance(history, Mapping):
        raise HistoryError(f"history is a {type(history).__name__}, expected {{name: values}}; try history.history.")
    for name, values in history.items():
        read_numbers(values, name, HistoryError)
