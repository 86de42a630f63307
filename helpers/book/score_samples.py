"""The book's measures for anyone's images of digits: `python -m helpers.book.score_samples samples.npz`.

The samples stand in a table beside real digits, copies of training digits and noise, so that each number can be read.
"""

import argparse
import os
import sys
import zipfile
import zlib
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # must precede the import of TensorFlow to have any effect

import numpy as np
import pandas as pd

from helpers import data, metrics
from helpers.arguments import check_kind, check_same_length, check_whole
from helpers.book import surroundings
from helpers.checks import IMAGE_SHAPE, ImageError, check_images, check_numbers, read_numbers
from helpers.files import check_arrays
from helpers.scorecard import Scorer

DIGITS = {"small": data.load_small_digits, "mnist": data.load_mnist}
EXPECTED = "images (count, 28, 28) or (count, 28, 28, 1), uint8 from 0 to 255 or float from 0 to 1"
BRIGHT = 0.75  # a frame lighter than that is paper: digits are white on black here
DIM = 0.02  # of 1: no pixel of an image of digits stays below that
READING = """\
Fréchet       distance in a classifier's features: 0 is best
told apart    share of pairs of a real digit and a sample that are told apart: 1/2 is best, 1 is worst
coverage      share of real digits with a sample near: for variety alone, since noise too has some
memorisation  copies of these training digits have 0, new digits 1; of other training data it knows nothing
Compare within one table only. Your samples are one draw: another differs in the last places."""


class SamplesError(ValueError):
    """A file that holds no images to score, or not as many as a score needs."""


def read_samples(path: Path, key: str | None = None) -> np.ndarray:
    """Return the images of an .npz file, float32 (count, 28, 28, 1) in [0, 1], never unpickling anything.

    key: the array's name; None: the only array of the file, or the only one that has a shape of images.
    Raises SamplesError for a file that cannot be read, or where the array cannot be told; ImageError as make_images.
    """
    check_arrays(path, SamplesError, others=True)
    check_kind(str | None, "the name of an array, or None", SamplesError, key=key)
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            names = [key] if key else file.files
            if missing := set(names) - set(file.files):
                raise SamplesError(f"{path}: no array {min(missing)!r}; expected one of {file.files}.")
            arrays = {name: file[name] for name in names}
    except SamplesError:
        raise
    except (OSError, EOFError, TypeError, ValueError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as no:
        raise SamplesError(
            f"{path}: cannot be read ({no}); expected an .npz file with {EXPECTED}. A single array (.npy) and pickled "
            "objects end here too: write plain arrays with np.savez('samples.npz', images=images)."
        ) from no
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    candidates = [name for name in arrays if len(arrays) == 1 or _has_shape(shapes[name])]
    if len(candidates) != 1:
        hint = f"name one of {candidates} with --key" if candidates else f"expected {EXPECTED}"
        raise SamplesError(f"{path} holds {len(candidates) or 'no'} arrays of images, of {shapes}; {hint}.")
    return make_images(arrays[candidates[0]])


def make_images(array: np.ndarray) -> np.ndarray:
    """Return images as the book has them, float32 (count, 28, 28, 1) in [0, 1].

    array: (count, 28, 28) or (count, 28, 28, 1), uint8 from 0 to 255 or float from 0 to 1. Raises ImageError, which
    says what else it is and how to mend that.
    """
    try:
        array = np.asarray(array)
    except ValueError as no:
        raise ImageError(f"images of unequal sizes, expected {EXPECTED}.") from no
    if not _has_shape(array.shape):
        fits = len(array.shape) > 1 and len(array) and array.size == len(array) * 28 * 28
        raise ImageError(f"shape {array.shape}, expected {EXPECTED}{'; try .reshape(-1, 28, 28)' * bool(fits)}.")
    if array.dtype == np.uint8:
        if array.size and array.max() == 1:
            raise ImageError("whole numbers that end at 1, expected 0 to 255; of binary images take 255 * images.")
        array = array / np.float32(255.0)
    elif array.dtype.kind != "f":
        raise ImageError(f"type {array.dtype}, expected {EXPECTED}; try .astype('uint8') or .astype('float32').")
    if not np.isfinite(array).all():
        raise ImageError(
            f"{np.sum(~np.isfinite(array)):,} values that are not finite (NaN or infinite), expected none."
        )
    if array.size and not (array.min() >= 0.0 and array.max() <= 1.0):
        cure = "(images + 1) / 2 takes -1 to 1 there" if array.min() >= -1.0 and array.max() <= 1.0 else ""
        cure = cure or ("images / 255 takes 0 to 255 there" if array.min() >= 0.0 and array.max() <= 255.0 else "")
        given = f"floats from {array.min():.3g} to {array.max():.3g}"
        raise ImageError(f"{given}, expected 0 to 1; {cure or 'rescale them, or clip what little leaves it'}.")
    return check_images(array.astype(np.float32).reshape(len(array), *IMAGE_SHAPE))


def _has_shape(shape: tuple) -> bool:
    return len(shape) in (3, 4) and shape[1:] in (IMAGE_SHAPE, IMAGE_SHAPE[:2])


def find_warnings(images: np.ndarray) -> list[str]:
    """Return what may be wrong with images, (count, 28, 28, 1) in [0, 1], that could still be meant."""
    check_numbers(ImageError, 1, images=images)
    images, inside = check_images(images), np.zeros(IMAGE_SHAPE, bool)
    inside[1:-1, 1:-1] = True
    found = []
    if (frame := float(images[:, ~inside].mean())) > BRIGHT:
        found.append(f"black ink on white? The frame's mean is {frame:.2f}, that of digits 0: try 1 - images.")
    if (most := float(images.max())) < DIM:
        found.append(f"no pixel is above {most:.3g}, where 1 is white: divided by 255 twice?")
    return found


def choose(images: np.ndarray, count: int) -> np.ndarray:
    """Return count of the images, (any, 28, 28, 1), drawn at random with a fixed seed, in their order.

    Raises SamplesError for fewer.
    """
    check_whole(count=count)
    check_same_length({"images": images})
    images = read_numbers(images, "images", ImageError)
    if len(images) < count:
        raise SamplesError(f"{len(images):,} images, expected {count:,} or more: every row of the table has as many.")
    return images[np.sort(np.random.default_rng(0).choice(len(images), count, replace=False))]


def compare(images: np.ndarray, digits: data.Digits, scorer: Scorer) -> pd.DataFrame:
    """Return the measures (columns) of images and of what to read them beside (rows).

    images: (any, 28, 28, 1) in [0, 1], of which scorer.count are taken; scorer: of these digits. Raises SamplesError
    for fewer, ImageError for images that are not float32 in [0, 1].
    """
    count, train = scorer.count, digits.train.images
    noise = data.draw_binary(np.broadcast_to(train.mean(axis=0), (count, *IMAGE_SHAPE)), seed=0)
    rows = {
        "your samples": choose(check_images(images), count),
        "real digits, held out": digits.validation.images[:count],
        "copies of training digits": choose(train, count),
        "noise, each pixel by itself": noise,
    }
    real = digits.test.images[:count]
    real_features = scorer.extract(real)
    held_out, fresh = np.array_split(np.random.default_rng(0).permutation(real), 2)  # as in the study `measures`
    table = {}
    for name, some in rows.items():
        frechet, told_apart = scorer.score(some)
        coverage = metrics.measure_coverage(real_features, scorer.extract(some))
        table[name] = frechet, told_apart, coverage, metrics.measure_memorisation(some, train, held_out, fresh)
    return pd.DataFrame.from_dict(table, "index", columns=["Fréchet", "told apart", "coverage", "memorisation"])


def main(arguments: list[str]) -> int:
    """Print the table of a file; return the exit status, 1 where it is refused."""
    parser = argparse.ArgumentParser(prog="python -m helpers.book.score_samples", description=__doc__)
    parser.add_argument("file", type=Path, help=f"an .npz file with {EXPECTED}")
    parser.add_argument("--key", help="the name of the array, where several could be meant")
    told = "those that the model has learned from; mnist: the file that MNIST_NPZ names, or a download"
    parser.add_argument("--digits", choices=DIGITS, default="small", help=told)
    options = parser.parse_args(arguments)
    surroundings.let_print()
    try:
        images = read_samples(options.file, options.key)
        digits = DIGITS[options.digits]()
        scorer = Scorer(digits)
        table = compare(images, digits, scorer)
    except (SamplesError, ImageError, data.MnistError, surroundings.SettingsError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    for warning in find_warnings(images):
        print(f"Warning: {warning}", file=sys.stderr)
    print(f"{scorer.count:,} of {len(images):,} images, against as many test images of {digits.name}:\n")
    print(table.to_string(float_format="{:.3f}".format), READING, sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
