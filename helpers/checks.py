"""Checks at the book's doors: what is wrong is named here, not deep inside TensorFlow, nor passed over in silence.

Whoever calls one as a statement of its own, without its value, changes nothing that the book has measured. What an
error says behind "try" is code that cures, or leads to the next thing that is wrong.
"""

import math
from typing import Any

import numpy as np

from helpers.arguments import ArgumentError, read_shape

IMAGE_SHAPE = (28, 28, 1)
ROUNDING = 1e-6
HUGE = 1e15  # a square of more, summed up over images, leaves float32
FARTHEST = 1e6  # of a latent vector: N(0, I) ends at 6
LOOSE = 0.25  # by so much pictures that are only shown may leave [0, 1]: a spline overshoots


class ImageError(ValueError):
    """Images have the wrong shape, type or range."""


class LatentError(ValueError):
    """Latent vectors do not have the shape that the model was built for."""


class LabelError(ValueError):
    """Labels are not one whole number, from 0 to below the number of classes, for each image; or nobody asked."""


# Arrays


def read_numbers(values: Any, name: str, error: type[Exception]) -> np.ndarray:
    """Return values as an array; raise error where they are text, objects, or rows of unequal length."""
    try:
        array = np.asarray(values)
    except Exception as no:  # what is no array may raise anything
        pair = isinstance(values, tuple) and hasattr(values[0], "shape")  # such as images with their labels
        advice = f"try {name}[0]" if pair else f"expected rows of equal length ({no})"
        raise error(f"{name} are a {type(values).__name__} that is no array of numbers; {advice}.") from no
    if array.dtype.kind not in "buif":
        raise error(f"{name} have type {array.dtype}, expected numbers.")
    return array


def check_images(images: np.ndarray, binary: bool = False) -> np.ndarray:
    """Return images unless they are anything but float32, (count, 28, 28, 1), finite, in [0, 1]; then raise ImageError.

    binary: also refuse pixels that are neither 0 nor 1.
    """
    given, images = images, read_numbers(images, "images", ImageError)
    if images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
        raise ImageError(
            f"images have shape {images.shape}, expected (count, 28, 28, 1); {_advise_on_shape(given, images)}."
        )
    if images.dtype != np.float32:
        raise ImageError(f"images have type {images.dtype}, expected float32 in [0, 1]; {_advise_on_type(given)}.")
    _check_range(images, ROUNDING)
    if binary and not np.isin(images, (0.0, 1.0)).all():
        raise ImageError("images have grey pixels, expected 0 or 1 only; try data.draw_binary(images, seed=1).")
    return images


def check_pictures(
    pictures: Any, name: str = "images", loose: float = LOOSE, shown: bool = False, any_shape: bool = False
) -> None:
    """Raise ImageError unless pictures are an array of numbers, (count, height, width, 1), in [0, 1] or nearly so.

    loose: how far they may leave [0, 1]. shown: whether they are only shown: then tensors serve too, and NaN is left
    white. any_shape: whether the shape is free.
    """
    array = read_numbers(pictures, name, ImageError)
    if not (isinstance(pictures, np.ndarray) or (shown and hasattr(pictures, "dtype"))):
        raise ImageError(f"{name} are a {type(pictures).__name__}, expected an array; try np.array({name}, 'float32').")
    if not any_shape and (array.ndim != 4 or array.shape[-1] != 1 or 0 in array.shape):
        raise ImageError(
            f"{name} have shape {array.shape}, expected (count, height, width, 1); "
            f"{_advise_on_shape(pictures, array, name)}."
        )
    _check_range(array, loose, name, shown)


def check_comparable(**sets: Any) -> None:
    """Raise ImageError unless sets of images are finite numbers that can be compared as images of 28 by 28 pixels."""
    for name, images in sets.items():
        array = read_numbers(images, name, ImageError)
        if array.size % math.prod(IMAGE_SHAPE) or array.ndim < 2:
            raise ImageError(f"{name} has shape {array.shape}, expected (count, 28, 28, 1), as of digits.test.images.")
        if not np.isfinite(array).all():
            raise ImageError(
                f"{name} holds {np.sum(~np.isfinite(array))} values that are NaN or infinite; leave them out."
            )


def check_split(split: Any) -> None:
    """Raise ImageError or LabelError unless a data.Split has images, as arrays, and a label for each."""
    if not (hasattr(split, "images") and hasattr(split, "labels")):
        raise ArgumentError(f"split is a {type(split).__name__}, expected a data.Split; try data.Split(*split).")
    check_pictures(split.images)
    if not hasattr(split.labels, "dtype"):
        raise LabelError(f"labels are a {type(split.labels).__name__}, expected an array; try np.array(labels).")
    check_labels(split.labels, len(split.images))


def check_latent(latent: np.ndarray, latent_size: int) -> np.ndarray:
    """Return latent as float32 unless it is anything but finite and (count, latent_size); then raise LatentError."""
    with np.errstate(over="ignore"):  # which ends as infinite
        latent = read_numbers(latent, "latent vectors", LatentError).astype(np.float32)
    if latent.ndim != 2 or latent.shape[1] != latent_size:
        hint = "; try np.array(latent)[None]" if latent.shape == (latent_size,) else ""
        raise LatentError(f"latent vectors have shape {latent.shape}, expected (count, {latent_size}){hint}.")
    if not np.isfinite(latent).all():
        raise LatentError("latent vectors hold values that are not finite (NaN or infinite).")
    if np.abs(latent).max(initial=0.0) > FARTHEST:
        raise LatentError(
            f"latent vectors reach {np.abs(latent).max():.3g}, expected draws of N(0, I), of 6 at the most."
        )
    return latent


def check_labels(labels: Any, count: int | None = None, classes: int | None = None) -> np.ndarray:
    """Return labels as int64, (count,), unless they are anything but whole numbers from 0; then raise LabelError.

    count: how many there should be; None for any number. classes: how many there are; None where nobody knows.
    """
    is_array = isinstance(labels, np.ndarray)
    if not hasattr(labels, "__len__"):
        raise LabelError(f"labels are a {type(labels).__name__}, expected a list or an array; try np.array(labels).")
    try:
        labels = np.asarray(labels)
    except Exception as no:  # what is no array may raise anything
        raise LabelError(f"labels are no list of whole numbers ({no}); expected one for each image.") from no
    wanted = f"{'' if count is None else f'{count} '}whole numbers"
    if labels.ndim != 1 or len(labels) != (len(labels) if count is None else count):
        advice = _advise_on_labels(labels, is_array)
        raise LabelError(f"labels have shape {labels.shape}, expected {wanted}, ({count or 'count'},){advice}.")
    numbers = labels if labels.dtype.kind in "iuf" else np.full(len(labels), np.nan)
    whole = np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers))
    if labels.dtype.kind not in "iuf" or not whole.all() or (classes is not None and (numbers >= classes).any()):
        end, advice = "on" if classes is None else f"to {classes - 1}", ""
        if labels.dtype.kind in "OUST":
            advice = _advise_on_labels(labels, is_array)
        elif len(labels) and whole.all() and numbers.min() == 1 and numbers.max() == classes:
            advice = "; try np.subtract(labels, 1)"
        raise LabelError(f"labels are {_list_some(labels)}, expected {wanted} from 0 {end}{advice}.")
    return labels.astype(np.int64)


def check_whole_type(labels: np.ndarray) -> None:
    """Raise LabelError for labels that are whole numbers of another type, which NumPy does not index or count by."""
    if len(labels) and np.asarray(labels).dtype.kind not in "iu":
        raise LabelError(
            f"labels have type {np.asarray(labels).dtype}, expected int64; try np.array(labels).astype(int)."
        )


def check_validation(images: Any) -> None:
    """Raise ImageError unless images to validate a VAE on are binary, or None."""
    if images is not None:
        check_images(images, binary=True)


def check_batch(images: Any, labels: Any, image_shape: tuple, classes: int) -> None:
    """Raise ImageError or LabelError unless a model can train on such a batch; classes: 0 where it takes no labels.

    images, labels: arrays, tensors, or what a tf.data stream says of its own. Only shapes and types are looked at, so
    that the check serves while a graph is traced.
    """
    for name, some, error in (("images", images, ImageError), ("labels", labels, LabelError)):
        if not hasattr(some, "shape") and (some is not None or name == "images"):
            hint = "; try fit(images, labels)" if isinstance(some, tuple) and classes else f"; try np.array({name})"
            raise error(f"{name} are a {type(some).__name__}, expected an array{hint}.")
    if classes and labels is None:
        raise LabelError(f"no labels, expected one of {classes} for each image: fit(images, labels), or pairs of them.")
    if labels is not None and not classes:
        raise LabelError("labels or targets beside the images, expected images alone: fit(images).")
    shape = read_shape(images)
    if shape and shape[1:] != image_shape:
        advice = f"; {_advise_on_shape(images, images)}" if image_shape == IMAGE_SHAPE else ""
        raise ImageError(f"images have shape {shape}, expected (batch, {str(image_shape)[1:]}{advice}.")
    if images.dtype.name not in ("float32", "float64"):  # Keras makes float32 of arrays of float64
        raise ImageError(
            f"images have type {images.dtype.name}, expected float32 in [0, 1]; {_advise_on_type(images)}."
        )
    if labels is not None and (len(read_shape(labels) or " ") != 1 or "int" not in labels.dtype.name):
        advice = _advise_on_labels(labels, isinstance(labels, np.ndarray))
        raise LabelError(f"labels are {labels.dtype.name}, {labels.shape}, expected whole numbers, (batch,){advice}.")


def check_values(images: Any, labels: Any, classes: int) -> None:
    """Raise ImageError or LabelError for values that no model trains on, where they can be seen before training.

    Those of arrays and tensors can; those of a stream cannot, nor those of a graph that is being traced. Of rows that
    are no pictures the model says itself what they may hold.
    """
    if _can_be_read(images):
        array = np.asarray(images)
        if not len(array):
            raise ImageError("no images, expected one or more.")
        if array.ndim == 4:
            _check_range(array, ROUNDING)
    if labels is not None and _can_be_read(labels):
        check_labels(labels, len(images), classes)


def check_numbers(error: type[Exception], least: int = 0, arrays: bool = False, **sets: Any) -> None:
    """Raise error unless sets are of numbers, (count, ...), with rows of equal length.

    least: how many elements each set has at the least. arrays: whether lists are refused.
    """
    for name, points in sets.items():
        array = read_numbers(points, name, error)
        if (arrays and not isinstance(points, np.ndarray)) or (array.ndim and not hasattr(points, "__len__")):
            raise error(f"{name} are a {type(points).__name__}, expected an array; try np.array({name}).")
        if least and (array.ndim < 1 or len(array) < least):
            raise error(f"{name} have shape {array.shape}, expected (count, ...), count {least} or more.")


def check_points(error: type[Exception], least: int = 0, arrays: bool = False, **sets: Any) -> None:
    """Raise error as check_numbers does, and where values are not finite, or elements hold other numbers of them."""
    check_numbers(error, least, arrays, **sets)
    sizes = {}
    for name, array in zip(sets, map(np.asarray, sets.values()), strict=True):
        if not np.isfinite(array).all():
            raise error(f"{name} hold {np.sum(~np.isfinite(array))} values that are not finite (NaN or infinite).")
        if array.size:
            sizes[name] = array[0].size if array.ndim else 1
    if len(set(sizes.values())) > 1:
        raise error(f"{sizes} numbers in each element; expected as many in all.")


def check_series(error: type[Exception], least: int = 0, **sets: Any) -> None:
    """Raise error as check_points does, and unless elements are single numbers."""
    check_points(error, least, **sets)
    for name, values in sets.items():
        if np.ndim(values) != 1:
            raise error(f"{name} have shape {np.shape(values)}, expected a series, (count,).")


def check_not_huge(error: type[Exception], **sets: Any) -> None:
    """Raise error where numbers are so large that their squares cannot be added up."""
    for name, points in sets.items():
        if 0 in np.shape(points)[1:]:
            raise error(f"{name} have shape {np.shape(points)}, expected one number or more in each element.")
        most = np.nanmax(np.abs(read_numbers(points, name, error).astype(np.float64)), initial=0.0)
        if HUGE < most < math.inf:
            raise error(
                f"{name} reach {most:.3g}, expected numbers below {HUGE:g}; rescale them, all sets by the same."
            )


def check_tokens(tokens: Any, vocabulary: int, error: type[Exception]) -> None:
    """Raise error unless tokens are whole numbers from 0 to below vocabulary, (batch, positions)."""
    array = read_numbers(tokens, "tokens", error)
    if array.ndim != 2 or not len(array):
        raise error(f"tokens have shape {array.shape}, expected (batch, positions); try [tokens].")
    if array.size and not (np.all(array == np.floor(array)) and array.min() >= 0 and array.max() < vocabulary):
        raise error(f"tokens are {_list_some(array)}, expected whole numbers from 0 to {vocabulary - 1}.")


def check_is_digits(digits: Any) -> None:
    """Raise ArgumentError for anything but a data.Digits."""
    if not all(hasattr(digits, name) for name in ("name", "train", "validation", "test")):
        raise ArgumentError(f"digits is a {type(digits).__name__}, expected a data.Digits; try data.load('quick').")


def check_digits(digits: Any, classes: int = 10) -> None:
    """Raise ImageError or LabelError unless the three splits of data.Digits have images, and a digit for each."""
    check_is_digits(digits)
    for name in ("train", "validation", "test"):
        split = getattr(digits, name)
        try:
            check_images(split.images)
            check_labels(split.labels, len(split.images), classes)
        except (ImageError, LabelError) as error:
            raise type(error)(f"in digits.{name}: {error}") from error


# What the checks have in common


def _check_range(array: np.ndarray, loose: float, name: str = "images", nan: bool = False) -> None:
    odd = np.isinf(array) if nan else ~np.isfinite(array)
    if odd.any():
        raise ImageError(
            f"{name} hold {odd.sum()} values that are not finite (NaN or infinite); look at what made them, or leave "
            f"such {name} out: try np.array({name})[np.isfinite({name}).all(axis=(1, 2, 3))]."
        )
    if not array.size:
        return
    low, high = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)  # of all NaN they are NaN
    if low < -loose or high > 1.0 + loose:
        cure = f"try ({name} + 1) / 2" if low >= -1.0 and high <= 1.0 else f"rescale them, or try np.clip({name}, 0, 1)"
        cure = f"try {name} / 255" if low >= 0.0 and high <= 255.0 else cure
        raise ImageError(f"{name} range from {low:.3g} to {high:.3g}, expected [0, 1]; {cure}.")


def _advise_on_shape(given: Any, array: Any, name: str = "images") -> str:
    shape = tuple(array.shape)
    if not hasattr(given, "dtype") or (_can_be_read(given) and not isinstance(given, np.ndarray)):
        return f"try np.array({name}, 'float32')"
    if shape in (IMAGE_SHAPE, IMAGE_SHAPE[:2]):
        return f"try {name}[None{', ..., None' * (len(shape) == 2)}]"
    if len(shape) == 3:
        return f"try {name}[..., None]"
    if len(shape) == 4 and shape[-1] == 3:
        return f"colours: try {name}.mean(axis=-1, keepdims=True)"
    if shape[1:] and None not in shape[1:] and math.prod(shape[1:]) == math.prod(IMAGE_SHAPE):
        return f"try {name}.reshape(-1, 28, 28, 1)"
    return "resize them"


def _advise_on_type(given: Any) -> str:
    if not hasattr(given, "dtype") or (_can_be_read(given) and not isinstance(given, np.ndarray)):
        return "try np.array(images, 'float32')"
    is_bytes = "int" in given.dtype.name and not (_can_be_read(given) and np.max(given, initial=0) <= 1)
    return f"try {'(images / 255)' if is_bytes else 'images'}.astype('float32')"


def _advise_on_labels(labels: Any, is_array: bool) -> str:
    shape = read_shape(labels) or ()
    if len(shape) == 2 and shape[1] == 1:
        return f". Of a column take {'labels.ravel()' if is_array else 'tf.reshape(labels, [-1])'}"
    if len(shape) == 2:
        return f". Of one-hot rows take {'labels.argmax(axis=1)' if is_array else 'tf.argmax(labels, axis=1)'}"
    return "; try np.array(labels).astype(int)" if len(shape) == 1 and "int" not in labels.dtype.name else ""


def _can_be_read(values: Any) -> bool:
    return isinstance(values, np.ndarray) or hasattr(values, "numpy")  # which no tensor has while a graph is traced


def _list_some(values: np.ndarray) -> str:
    """The first few different values, in words."""
    known = (np.unique(values) if values.dtype.kind in "biuf" else values[:12]).tolist()
    return f"{known[:12]}{' and more' * (len(known) > 12)}"
