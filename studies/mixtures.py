"""Mixtures of Gaussians in the plane, and how many of their modes a set of points has found."""

import math
from typing import NamedTuple

import numpy as np

HIGH_QUALITY = 3.0  # a point is of high quality if it is nearer to a mode than this many standard deviations


class PointsError(ValueError):
    """Points have the wrong shape or are not finite."""


class Mixture(NamedTuple):
    """Equally likely Gaussians with one standard deviation, sigma, in every direction; centers: (modes, 2)."""

    centers: np.ndarray
    sigma: float


class ModeScore(NamedTuple):
    """Modes found, the share of points of high quality, the reverse KL divergence over modes in nats, and the spread.

    The spread is the root mean square deviation of the points of high quality from their modes, in sigma for each
    coordinate: 0.97 for real data cut off at 3 sigma, near 0 where a model puts all points on top of each other.
    """

    modes: float
    high_quality: float
    reverse_kl: float
    spread: float


def build_ring():
    """Return the ring: 8 modes at distance 1 from the origin, sigma 0.01. Source: Lin et al. 2018, section 4.1."""
    angles = 2.0 * np.pi * np.arange(8) / 8
    return Mixture(np.stack([np.cos(angles), np.sin(angles)], axis=1), 0.01)


def build_grid():
    """Return the grid: 25 modes at {-4, -2, 0, 2, 4} x the same, sigma 0.05. Source: Lin et al. 2018, section 4.1."""
    ticks = np.arange(-4.0, 5.0, 2.0)
    return Mixture(np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1).reshape(-1, 2), 0.05)


def draw_points(mixture, count, seed):
    """Return points drawn from a mixture, float32 (count, 2), the same for the same seed."""
    rng = np.random.default_rng(seed)
    centers = mixture.centers[rng.integers(len(mixture.centers), size=count)]
    return (centers + mixture.sigma * rng.standard_normal((count, 2))).astype(np.float32)


def score_modes(points, mixture):
    """Return the ModeScore of points, (count, 2), against a mixture.

    A point belongs to its nearest mode, and is of high quality within 3 sigma of it; a mode is found with one such
    point. The reverse KL divergence takes the shares of modes among the points of high quality alone. Raises
    PointsError. Source, but for the spread: Lin et al. 2018, table 1, as their code counts (MetricLogger in
    pacgan/extensions.py).
    """
    points = _check_points(points)
    distances = np.linalg.norm(points[:, None] - mixture.centers, axis=-1)  # (count, modes)
    nearest, off = distances.argmin(axis=1), distances.min(axis=1)  # (count,)
    good = off < HIGH_QUALITY * mixture.sigma
    counts = np.bincount(nearest[good], minlength=len(mixture.centers))
    spread = np.sqrt(np.square(off[good]).sum() / 2 / max(counts.sum(), 1)) / mixture.sigma
    return ModeScore(float(np.sum(counts > 0)), float(good.mean()), measure_reverse_kl(counts), float(spread))


def measure_reverse_kl(counts):
    """Return KL(q || p) in nats, where q is the share of each mode, of counts, (modes,), and p is uniform.

    It is the log of the number of modes, less the entropy of q. A mode without points adds nothing to it. It ends at
    that logarithm, all points at one mode, which is also its value where there is no point. The points that are counted
    bring it above zero even if q is p: about (modes - 1) / (2 * points).
    """
    shares = counts[counts > 0] / max(counts.sum(), 1)
    return max(float(math.log(len(counts)) + np.sum(shares * np.log(shares))), 0.0)


def _check_points(points):
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise PointsError(f"points have shape {points.shape}, expected (count, 2) with a point at least.")
    if not np.isfinite(points).all():
        raise PointsError(f"{np.sum(~np.isfinite(points).all(axis=1))} points are not finite; look at the generator.")
    return points
