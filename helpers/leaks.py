"""Finds held-out images among those to train on, also where they come in another type, range or shape."""

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

PIXELS = 28 * 28
BLOCKS = 7  # to a side: means of 4 by 4 pixels, by which candidates are found
LEVEL = 1.5 / 255  # two pictures that differ by less everywhere are one: bytes are rounded, or cut off


def find_shared(images: Any, held_out: Any) -> np.ndarray:
    """Return for each image, (count, 28, 28, 1), whether it is also among the held-out ones, (count,).

    Both may be bytes, whole numbers, or floats in [0, 1], [-1, 1] or [0, 255], of any shape with 784 pixels an image.
    """
    (seen, places), (hidden, _) = (_take_each_once(_read_levels(some)) for some in (images, held_out))
    found = np.zeros(len(seen), bool)
    if len(seen) and len(hidden):
        near = cKDTree(_average_blocks(hidden)).query_ball_point(_average_blocks(seen), LEVEL, p=np.inf)
        for index in np.flatnonzero([len(some) > 0 for some in near]):
            found[index] = (np.abs(hidden[near[index]] - seen[index]).max(axis=1) < LEVEL).any()
    return found[places]


def check_shared(images: Any, held_out: Any, error: type[Exception]) -> None:
    """Raise error where an image is also among the held-out ones. It takes ten times as long as digests do."""
    if find_shared(images, held_out).any():
        raise error(tell_shared(images, held_out))


def tell_shared(images: Any, held_out: Any) -> str:
    """Return in words how many of the images are also among the held-out ones."""
    found = find_shared(images, held_out).sum()
    return f"{found} of the {len(images)} training images are held out for testing; train on others."


def _read_levels(pictures: Any) -> np.ndarray:
    """Pictures as float32, (count, 784), in [0, 1], whatever their range was."""
    array = np.asarray(pictures).reshape(-1, PIXELS)
    if array.size and array.max() > 1.5:
        array = array / np.float32(255.0)
    elif array.size and array.min() < -0.01:
        array = (array + np.float32(1.0)) / np.float32(2.0)
    return array.astype(np.float32)


def _take_each_once(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows, and for each of all rows its place among them."""
    places: dict[bytes, int] = {}
    found = np.array([places.setdefault(row.tobytes(), len(places)) for row in levels], int)
    return levels[np.unique(found, return_index=True)[1]], found


def _average_blocks(levels: np.ndarray) -> np.ndarray:
    """Means of 4 by 4 pixels, (count, 49)."""
    side = 28 // BLOCKS
    return levels.reshape(-1, BLOCKS, side, BLOCKS, side).mean(axis=(2, 4)).reshape(len(levels), -1)
