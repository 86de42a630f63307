"""Checks of arrays at the book's doors: what is wrong is named here, not deep inside TensorFlow."""

from typing import Any

import numpy as np

IMAGE_SHAPE = (28, 28, 1)


class ImageError(ValueError):
    """Images have the wrong shape, type or range."""


class LatentError(ValueError):
    """Latent vectors do not have the shape that the model was built for."""


class LabelError(ValueError):
    """Labels are not one whole number, from 0 to below the number of classes, for each image; or nobody asked."""


def check_images(images: np.ndarray, binary: bool = False) -> np.ndarray:
    """Return images unless they are anything but float32, (count, 28, 28, 1), finite, in [0, 1]; then raise ImageError.

    binary: also refuse pixels that are neither 0 nor 1.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
        raise ImageError(f"images have shape {images.shape}, expected (count, 28, 28, 1); try images[..., None].")
    if images.dtype != np.float32:
        raise ImageError(f"images have type {images.dtype}, {_advise_on_type(images.dtype)}")
    if not np.isfinite(images).all():
        raise ImageError(f"images hold {np.sum(~np.isfinite(images))} values that are not finite (NaN or infinite).")
    if len(images) and (images.min() < 0.0 or images.max() > 1.0):
        raise ImageError(f"images range from {images.min():.3g} to {images.max():.3g}, expected [0, 1]; rescale them.")
    if binary and not np.isin(images, (0.0, 1.0)).all():
        raise ImageError("images have grey pixels, expected 0 or 1 only; draw them with data.draw_binary.")
    return images


def check_latent(latent: np.ndarray, latent_size: int) -> np.ndarray:
    """Return latent as float32 unless it is anything but finite and (count, latent_size); then raise LatentError."""
    latent = np.asarray(latent, np.float32)
    if latent.ndim != 2 or latent.shape[1] != latent_size:
        raise LatentError(f"latent vectors have shape {latent.shape}, expected (count, {latent_size}).")
    if not np.isfinite(latent).all():
        raise LatentError("latent vectors hold values that are not finite (NaN or infinite).")
    return latent


def check_labels(labels: Any, count: int, classes: int | None = None) -> np.ndarray:
    """Return labels as int64, (count,), unless they are anything but whole numbers from 0; then raise LabelError.

    classes: how many there are; None where nobody knows.
    """
    labels = np.asarray(labels)
    if labels.shape != (count,):
        hint = " Of one-hot rows take labels.argmax(axis=1)." if labels.ndim == 2 else ""
        raise LabelError(f"labels have shape {labels.shape}, expected {count} whole numbers, ({count},).{hint}")
    numbers = labels if labels.dtype.kind in "iuf" else np.full(count, np.nan)
    whole = np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers))
    if not whole.all() or (classes is not None and (numbers >= classes).any()):
        end = "on" if classes is None else f"to {classes - 1}"
        raise LabelError(f"labels are {np.unique(labels)}, expected {count} whole numbers from 0 {end}.")
    return labels.astype(np.int64)


def check_batch(images: Any, labels: Any, image_shape: tuple, classes: int) -> None:
    """Raise ImageError or LabelError unless a model can train on such a batch; classes: 0 where it takes no labels.

    images, labels: arrays, tensors, or what a tf.data stream says of its own. Only shapes and types are looked at, so
    that the check serves while a graph is traced.
    """
    if classes and labels is None:
        raise LabelError(f"no labels, expected one of {classes} for each image: fit(images, labels), or pairs of them.")
    if labels is not None and not classes:
        raise LabelError("labels or targets beside the images, expected images alone: fit(images).")
    shape = _read_shape(images)
    if shape and shape[1:] != image_shape:
        raise ImageError(f"images have shape {shape}, expected (batch, {str(image_shape)[1:]}.")
    if images.dtype.name not in ("float32", "float64"):  # Keras makes float32 of arrays of float64
        raise ImageError(f"images have type {images.dtype.name}, {_advise_on_type(images.dtype)}")
    if labels is not None and (len(_read_shape(labels) or " ") != 1 or "int" not in labels.dtype.name):
        raise LabelError(f"labels are {labels.dtype.name}, {labels.shape}, expected whole numbers, (batch,).")


def _read_shape(array: Any) -> tuple | None:
    """Return the shape of an array, tensor or spec; None where a stream of unknown rank does not tell."""
    return None if getattr(array.shape, "rank", 0) is None else tuple(array.shape)


def _advise_on_type(dtype: Any) -> str:
    whole = "int" in dtype.name
    return f"expected float32 in [0, 1]; try {'(images / 255)' if whole else 'images'}.astype('float32')."
