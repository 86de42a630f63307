"""Checks of arrays at the book's doors: what is wrong is named here, not deep inside TensorFlow."""

import numpy as np

IMAGE_SHAPE = (28, 28, 1)


class ImageError(ValueError):
    """Images have the wrong shape, type or range."""


class LatentError(ValueError):
    """Latent vectors do not have the shape that the model was built for."""


def check_images(images, binary=False):
    """Return images unless they are anything but float32, (count, 28, 28, 1), finite, in [0, 1]; then raise ImageError.

    binary: also refuse pixels that are neither 0 nor 1.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
        raise ImageError(f"images have shape {images.shape}, expected (count, 28, 28, 1); try images[..., None].")
    if images.dtype != np.float32:
        raise ImageError(f"images have type {images.dtype}, expected float32 in [0, 1]; divide bytes by 255.")
    if not np.isfinite(images).all():
        raise ImageError(f"images hold {np.sum(~np.isfinite(images))} values that are not finite (NaN or infinite).")
    if len(images) and (images.min() < 0.0 or images.max() > 1.0):
        raise ImageError(f"images range from {images.min():.3g} to {images.max():.3g}, expected [0, 1]; rescale them.")
    if binary and not np.isin(images, (0.0, 1.0)).all():
        raise ImageError("images have grey pixels, expected 0 or 1 only; draw them with data.draw_binary.")
    return images


def check_latent(latent, latent_size):
    """Return latent as float32 unless it is anything but finite and (count, latent_size); then raise LatentError."""
    latent = np.asarray(latent, np.float32)
    if latent.ndim != 2 or latent.shape[1] != latent_size:
        raise LatentError(f"latent vectors have shape {latent.shape}, expected (count, {latent_size}).")
    if not np.isfinite(latent).all():
        raise LatentError("latent vectors hold values that are not finite (NaN or infinite).")
    return latent
