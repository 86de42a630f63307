"""Checks of images, codes, labels and numbers by themselves; the doors that use them are tried in test_doors.py."""

from collections.abc import Callable

import numpy as np
import pytest

from helpers import checks

IMAGES = np.zeros((2, 28, 28, 1), np.float32)


@pytest.mark.parametrize(
    ("check", "right", "wrong", "error", "message"),
    [
        (
            lambda images: checks.check_comparable(shown=images),
            IMAGES,
            np.where(np.arange(784).reshape(1, 28, 28, 1) < 3, np.nan, IMAGES),
            checks.ImageError,
            "shown holds 6 values that are NaN or infinite",
        ),
        (
            lambda latent: checks.check_latent(latent, 2),
            [[0.0, -1e6]],
            [[0.0, -2e6]],
            checks.LatentError,
            r"reach 2e\+06, expected draws of N\(0, I\), of 6 at the most",
        ),
        (
            checks.check_whole_type,
            np.array([1, 2]),
            np.array([1.0, 2.0]),
            checks.LabelError,
            "type float64, expected int64",
        ),
        (
            lambda losses: checks.check_series(ValueError, losses=losses),
            [1.0, 2.0],
            [[1.0], [2.0]],
            ValueError,
            r"losses have shape \(2, 1\), expected a series",
        ),
        (
            lambda points: checks.check_not_huge(ValueError, points=points),
            np.zeros((0, 2)),
            np.zeros((2, 0)),
            ValueError,
            r"points have shape \(2, 0\), expected one number or more in each element",
        ),
        (
            lambda points: checks.check_not_huge(ValueError, points=points),
            [[-1e15, np.nan, np.inf]],
            [[-2e15, 0.0, 0.0]],
            ValueError,
            r"points reach 2e\+15, expected numbers below 1e\+15; rescale them",
        ),
    ],
    ids=["not finite", "far away", "another type", "no series", "nothing in it", "huge"],
)
def test_a_check_refuses_by_name_what_is_just_beyond(
    check: Callable, right: object, wrong: object, error: type[Exception], message: str
) -> None:
    check(right)
    with pytest.raises(error, match=message):
        check(wrong)
