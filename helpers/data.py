"""Real handwritten digits with labels: the ones that scikit-learn ships, and MNIST; the batches to train on."""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from scipy import ndimage
from scipy.special import expit
from sklearn.datasets import load_digits as load_optical_digits
from sklearn.model_selection import train_test_split

from helpers.arguments import check_choice, check_flags, check_seed, check_whole
from helpers.book import surroundings
from helpers.checks import (
    IMAGE_SHAPE,
    ROUNDING,
    ImageError,
    check_comparable,
    check_images,
    check_labels,
    check_numbers,
    check_pictures,
    check_points,
    check_split,
)
from helpers.files import check_arrays
from helpers.leaks import check_shared, tell_shared

SPLIT_SEED = 20140612  # one for the whole book: every chapter and every seed tests on the same images
PIXEL_STREAM = np.int64(1)
# The pen: beside MNIST it gives digits as high (20.0 pixels against 19.6) and as crisp (49 nats against 46), and a
# support vector machine trained on 10,000 digits of MNIST reads 88% of them; without contrast it reads 81%.
CELLS, FINE, COARSE = 8, 10, 4  # one cell of the scan becomes 10x10 points, 4x4 of which are averaged to a pixel
STEEPNESS, HALF_INK = 20.0, 0.5  # of the sigmoid that decides between ink and paper
MNIST_SHA256 = {  # of each array's bytes, in C order
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
MNIST_SHAPES = {"x_train": (60_000, 28, 28), "y_train": (60_000,), "x_test": (10_000, 28, 28), "y_test": (10_000,)}


class MnistError(ValueError):
    """The MNIST file is missing, unreadable, or not MNIST."""


class LeakError(ValueError):
    """Held-out images were about to be used for training."""


class Split(NamedTuple):
    """Images, float32 (N, 28, 28, 1) in [0, 1], with their labels, int64 (N,)."""

    images: np.ndarray
    labels: np.ndarray


class Digits(NamedTuple):
    """A data set in three splits that share no image."""

    name: str
    train: Split
    validation: Split
    test: Split


def load(profile: str) -> Digits:
    """Return the digits of a profile: scikit-learn's for "quick", MNIST for "full". Raises ArgumentError for others."""
    check_choice(("quick", "full"), profile=profile)
    return {"quick": load_small_digits, "full": load_mnist}[profile]()


def load_small_digits() -> Digits:
    """Return the 1,797 digits that scikit-learn ships, drawn at MNIST's size by draw_pen_strokes: no download.

    Split 1,077 / 360 / 360, stratified by class. The splits share writers, because scikit-learn's copy does
    not say who wrote what. Source of the data: Alpaydin and Kaynak 1998.
    """
    digits = load_optical_digits()
    images, labels = draw_pen_strokes(digits.images / 16.0), digits.target.astype(np.int64)
    train, rest = _split(Split(images, labels), 720)
    validation, test = _split(rest, 360)
    return Digits("scikit-learn digits", train, validation, test)


def draw_pen_strokes(scans: np.ndarray) -> np.ndarray:
    """Return scans, (N, 8, 8) in [0, 1], as a pen would have drawn them at MNIST's size, float32 (N, 28, 28, 1).

    A cell of a scan says how much of it was ink. The scan is enlarged smoothly, a sigmoid decides at each point between
    ink and paper, squares of points are averaged to pixels as MNIST's makers did, and the centre of mass is put in the
    middle. Nothing is added that the scan does not hold: strokes finer than a cell stay lost. Raises ImageError.
    """
    points = enlarge(scans)
    parts = np.array_split(points, len(points) // 100 + 1)  # all at once would take half a gigabyte
    return center_by_mass(np.concatenate([_shrink(decide_ink(part)) for part in parts]))


def enlarge(scans: np.ndarray) -> np.ndarray:
    """Return scans, (N, 8, 8) in [0, 1], with a margin of one empty cell, each cell as 10x10 points: (N, 100, 100).

    Between the cells' centres runs a cubic spline, which can leave [0, 1]. Raises ImageError for other scans.
    """
    check_numbers(ImageError, scans=scans)
    scans = np.asarray(scans, np.float64)
    if scans.ndim != 3 or scans.shape[1:] != (CELLS, CELLS) or not len(scans):
        raise ImageError(f"scans have shape {scans.shape}, expected (count, 8, 8); try np.reshape(scans, (-1, 8, 8)).")
    if not (scans.min() >= 0.0 and scans.max() <= 1.0):  # so that NaN is refused too
        raise ImageError(
            f"scans range from {scans.min():.3g} to {scans.max():.3g}, expected [0, 1]; divide by 16: "
            "try np.array(scans) / 16."
        )
    spline = ndimage.zoom(np.eye(CELLS + 2), (FINE, 1), mode="grid-constant", grid_mode=True)  # (100, 10), one axis's
    return spline @ np.pad(scans, ((0, 0), (1, 1), (1, 1))) @ spline.T


def decide_ink(points: np.ndarray) -> np.ndarray:
    """Return for points of any grey, of any shape, a value in [0, 1] near 0 (paper) or 1 (ink); 0, 1/2 and 1 stay.

    Raises ImageError for anything but an array of finite numbers.
    """
    check_points(ImageError, arrays=True, points=points)
    paper, ink = expit(-STEEPNESS * HALF_INK), expit(STEEPNESS * (1.0 - HALF_INK))
    return np.clip((expit(STEEPNESS * (points - HALF_INK)) - paper) / (ink - paper), 0.0, 1.0)


def _shrink(points: np.ndarray) -> np.ndarray:
    """Return points, (N, 100, 100), averaged to pixels, float32 (N, 25, 25, 1)."""
    side = points.shape[1] // COARSE
    pixels = points.reshape(len(points), side, COARSE, side, COARSE).mean(axis=(2, 4))
    return pixels[..., None].astype(np.float32)


def load_mnist() -> Digits:
    """Return MNIST, 50,000 / 10,000 / 10,000, from the file that MNIST_NPZ names, else through Keras's download.

    A copy in Keras's cache is taken, whatever zip it is. Raises MnistError where the file is missing, unreadable, or
    holds anything but MNIST.
    """
    check_cached_mnist()
    path = os.environ.get("MNIST_NPZ")
    if path:
        arrays = read_mnist_file(path)
    else:
        try:
            (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
        except Exception as error:  # Keras raises a bare Exception when the download fails
            raise MnistError(
                f"MNIST could not be downloaded ({error}). Set MNIST_NPZ to the path of a copy of mnist.npz, "
                "or BOOK_PROFILE=quick to use the digits that scikit-learn ships."
            ) from error
        arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    check_mnist(arrays, path or "the download")
    images = {name: arrays[name][..., None].astype(np.float32) / 255.0 for name in ("x_train", "x_test")}
    labels = {name: arrays[name].astype(np.int64) for name in ("y_train", "y_test")}
    train, validation = _split(Split(images["x_train"], labels["y_train"]), 10_000)
    return Digits("MNIST", train, validation, Split(images["x_test"], labels["y_test"]))


def check_cached_mnist() -> None:
    """Have MNIST_NPZ, unless it names a file, name the one in Keras's cache: Keras would delete all zips but its own.

    Raises MnistError for a file that holds anything but MNIST, and leaves it there.
    """
    path = surroundings.find_cached_mnist()
    if path.exists() and not os.environ.get("MNIST_NPZ"):
        try:
            check_mnist(read_mnist_file(str(path)), str(path))
        except MnistError as error:
            raise MnistError(
                f"{error} Move it away for a download, or set MNIST_NPZ to the path of another."
            ) from error
        os.environ["MNIST_NPZ"] = str(path)


def read_mnist_file(path: str) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name, never unpickling anything.

    Raises MnistError where the path is not a readable .npz file of plain arrays with MNIST's four names.
    """
    check_arrays(path, MnistError)
    expected = f"an .npz file with the arrays {', '.join(MNIST_SHAPES)}"
    try:
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            missing = sorted(set(MNIST_SHAPES) - set(file.files))
            if missing:
                raise MnistError(f"{path}: no array {', '.join(missing)}; expected {expected}, found {file.files}.")
            return {name: file[name] for name in MNIST_SHAPES}
    except FileNotFoundError as error:
        raise MnistError(
            f"{Path(path).absolute()}: there is no such file; MNIST_NPZ should name {expected}"
            f"{'' if Path(path).is_absolute() else ', by its whole path, which is the same from any folder'}."
        ) from error
    except MnistError:
        raise
    except (OSError, EOFError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise MnistError(
            f"{path}: cannot be read ({error}); expected {expected}. "
            + (
                "That is a folder: name the file in it, such as mnist.npz."
                if os.path.isdir(str(path))  # noqa: PTH112  # whatever was given
                else "A web page saved under that name, a download that broke off and pickled objects all end here: "
                "fetch the file again."
            )
        ) from error


def check_mnist(arrays: dict[str, np.ndarray], source: str) -> None:
    """Raise MnistError, naming the first thing that is wrong, unless the four arrays are MNIST, bit for bit."""
    for name, shape in MNIST_SHAPES.items():
        array = arrays[name]
        if array.shape != shape:
            raise MnistError(
                f"{source}: {name} has shape {array.shape}, expected {shape}.{_hint_if_swapped(array.shape)}"
            )
        if array.dtype != np.uint8:
            raise MnistError(f"{source}: {name} has type {array.dtype}, expected uint8 with pixels 0 to 255.")
    for name in ("x_train", "x_test"):
        if arrays[name].max() <= 1:
            raise MnistError(f"{source}: the pixels of {name} end at {arrays[name].max()}, expected 0 to 255.")
    for name in ("y_train", "y_test"):
        found = np.unique(arrays[name]).tolist()
        if found != list(range(10)):
            raise MnistError(f"{source}: the labels in {name} are {found}, expected the digits 0 to 9.")
    for name, digest in MNIST_SHA256.items():
        found = hashlib.sha256(np.ascontiguousarray(arrays[name]).tobytes()).hexdigest()
        if found != digest:
            raise MnistError(f"{source}: {name} is not MNIST's (SHA-256 {found[:12]}..., expected {digest[:12]}...).")


def make_batches(
    images: np.ndarray,
    batch_size: int,
    seed: int,
    held_out: np.ndarray,
    binary: bool = False,
    labels: np.ndarray | None = None,
    start: int | Callable[[], np.int64] = 0,
) -> tf.data.Dataset:
    """Return an endless tf.data stream of training batches, (batch_size, 28, 28, 1).

    images, held_out: (count, 28, 28, 1). Each pass takes the images in a new order; order and pixels depend on seed and
    step alone. binary: draw each pixel afresh as Bernoulli(grey value) whenever its image comes up (Burda et al. 2016).
    labels: (count,), then the stream is of pairs, images and their labels, int64 (batch_size,). start: the step that
    the stream begins with, or a function that is asked for it with the first batch, so that a resumed training
    goes on with the batches that it has not had. Raises ImageError for bad images or fewer than a batch of them,
    LabelError for labels that are not one whole number for each, LeakError where a training image is also held out,
    ArgumentError for a batch_size, seed or start that is no whole number, or too small.
    """
    check_whole(batch_size=batch_size)
    check_flags(binary=binary)
    check_whole(0, 2**63 - 1, seed=seed)
    check_whole(0, start=0 if callable(start) else start)
    images, count = check_images(images), len(images)
    if count < batch_size:
        raise ImageError(f"{count} images do not fill a batch of {batch_size}; try batch_size={count}, or less.")
    refuse_held_out(images, held_out)
    if labels is not None:
        labels = tf.constant(check_labels(labels, count))
    pool, seed, steps_per_pass = tf.constant(images), tf.constant(seed, tf.int64), count // batch_size

    def take_batch(step: tf.Tensor) -> Any:
        positions = step % steps_per_pass * batch_size + tf.range(batch_size, dtype=tf.int64)
        shuffled = tf.random.experimental.index_shuffle(positions, (seed, step // steps_per_pass), np.int64(count - 1))
        batch = tf.gather(pool, shuffled)
        if binary:  # a stream of its own: the model draws its latent noise from (seed, step) as it stands
            noise = tf.random.stateless_uniform(tf.shape(batch), tf.random.fold_in((seed, step), PIXEL_STREAM))
            batch = tf.cast(noise < batch, tf.float32)
        return batch if labels is None else (batch, tf.gather(labels, shuffled))

    if callable(start):  # asked anew by each iterator
        first = tf.data.Dataset.from_tensors(0).map(lambda _: tf.numpy_function(start, [], tf.int64))
        steps = first.flat_map(lambda step: tf.data.Dataset.counter(tf.ensure_shape(step, ())))
    else:
        steps = tf.data.Dataset.counter(start)
    return steps.map(take_batch).prefetch(2)


def refuse_held_out(images: np.ndarray, held_out: np.ndarray) -> None:
    """Raise LeakError where an image to train on, (count, 28, 28, 1), is also among those held out for testing.

    Held-out images are found whether they are bytes or floats, in [0, 1], [-1, 1] or up to 255, with or without an axis
    for channels, up to a grey level of 255. The error counts training images. Raises ImageError for what cannot be
    compared.
    """
    check_comparable(images=images, held_out=held_out)
    leaked = len(_digest(images) & _digest(held_out))
    if leaked:
        raise LeakError(tell_shared(images, held_out))
    check_shared(images, held_out, LeakError)  # which also knows them in another type, range or shape


def _digest(images: np.ndarray) -> set[bytes]:
    """Return the set of the SHA-256 digests of the images, one for each different image."""
    return {hashlib.sha256(np.ascontiguousarray(image, dtype=np.float32).tobytes()).digest() for image in images}


def draw_binary(images: np.ndarray, seed: int) -> np.ndarray:
    """Return binary images whose pixels are 1 with the probability that the grey value gives: Bernoulli(x).

    images: an array in [0, 1], (N, 28, 28, 1) or of another shape. Returns float32 of that shape. Raises ImageError,
    and ArgumentError for a bad seed. Source: Burda et al. 2016, section 5.
    """
    check_pictures(images, any_shape=True, loose=ROUNDING)
    check_seed(seed)
    return (np.random.default_rng(seed).random(images.shape) < images).astype(np.float32)


def draw_class_gaussians(split: Split, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return for each label, (count,), an image from a Gaussian around its class's mean: a baseline that knows labels.

    split: a Split, whose images give each pixel of each class its mean and standard deviation, without covariances.
    Returns float32 (count, 28, 28, 1), clipped to [0, 1]. Raises ImageError for a label of which split has no image,
    or for such a split, LabelError for other labels.
    """
    check_split(split)
    check_labels(labels)
    check_seed(seed)
    missing = np.setdiff1d(labels, split.labels)
    if len(missing):
        raise ImageError(f"no image of {missing.tolist()} to take a mean of; there are {np.unique(split.labels)}.")
    draws, noise = np.empty((len(labels), *IMAGE_SHAPE), np.float32), np.random.default_rng(seed)
    for digit in np.unique(labels):
        members, places = split.images[split.labels == digit], np.flatnonzero(labels == digit)
        draws[places] = noise.normal(members.mean(axis=0), members.std(axis=0), (len(places), *IMAGE_SHAPE))
    return np.clip(draws, 0.0, 1.0)


def center_by_mass(images: np.ndarray) -> np.ndarray:
    """Return (N, h, w, 1) images, filled up or cut to 28x28 so that their centre of mass is in the middle, to a pixel.

    Raises ImageError for an image without ink, which has no such centre.
    """
    check_pictures(images, loose=np.inf)
    mass, side = images.sum(axis=(1, 2, 3)), IMAGE_SHAPE[0]
    if not (mass > 0.0).all():
        raise ImageError(
            f"{np.sum(mass <= 0.0)} images hold no ink, expected some in each; leave the empty ones out: "
            "try images[images.sum(axis=(1, 2, 3)) > 0]."
        )
    centers = [images.sum(axis=(3 - axis, 3)) @ np.arange(images.shape[axis]) / mass for axis in (1, 2)]  # (N,) each
    corners = np.round(np.stack(centers, axis=1) + side - (side - 1) / 2).astype(int)  # (N, 2), in padded images
    padded = np.pad(images, ((0, 0), (side, side), (side, side), (0, 0)))
    windows = (image[top:, left:][:side, :side] for image, (top, left) in zip(padded, corners, strict=True))
    return np.stack(list(windows)).astype(np.float32)


def _split(split: Split, second_size: int) -> tuple[Split, Split]:
    """Return two stratified parts of a split, the second of the size given."""
    parts = train_test_split(*split, test_size=second_size, stratify=split.labels, random_state=SPLIT_SEED)
    return Split(parts[0], parts[2]), Split(parts[1], parts[3])


def _hint_if_swapped(shape: tuple) -> str:
    swapped = shape in MNIST_SHAPES.values()
    return " Training and test arrays, or images and labels, seem to be swapped." if swapped else ""
