"""The mixtures in the plane and the measures of PacGAN's table 1, on points with known answers."""

import math

import numpy as np
import pytest

from studies import mixtures

MIXTURES = {"ring": mixtures.build_ring(), "grid": mixtures.build_grid()}


@pytest.fixture(params=MIXTURES)
def mixture(request: pytest.FixtureRequest) -> mixtures.Mixture:
    return MIXTURES[request.param]


def around(mixture: mixtures.Mixture, modes: list[int], sigmas: float = 0.0) -> np.ndarray:
    """A point for each mode named, so many standard deviations to its right, (count, 2)."""
    return mixture.centers[modes] + np.array([sigmas * mixture.sigma, 0.0])


def test_the_ring_is_the_published_one() -> None:
    ring = MIXTURES["ring"]
    assert ring.centers.shape == (8, 2)
    assert ring.sigma == 0.01
    assert ring.centers[:3] == pytest.approx(np.array([[1, 0], [0.5**0.5, 0.5**0.5], [0, 1]]))
    assert np.linalg.norm(ring.centers, axis=1) == pytest.approx(np.ones(8))


def test_the_grid_is_the_published_one() -> None:
    grid = MIXTURES["grid"]
    assert grid.sigma == 0.05
    assert sorted(map(tuple, grid.centers)) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]


def test_draws_are_points_of_the_mixture(mixture: mixtures.Mixture) -> None:
    points = mixtures.draw_points(mixture, 50_000, seed=1)
    assert points.shape == (50_000, 2)
    assert points.dtype == np.float32
    nearest = np.linalg.norm(points[:, None] - mixture.centers, axis=-1).argmin(axis=1)
    counts = np.bincount(nearest, minlength=len(mixture.centers))
    expected = 50_000 / len(mixture.centers)
    assert np.abs(counts - expected).max() < 5 * expected**0.5
    off = points - mixture.centers[nearest]
    assert off.std(axis=0) == pytest.approx(np.full(2, mixture.sigma), rel=0.02)
    assert np.corrcoef(off.T)[0, 1] == pytest.approx(0.0, abs=0.02)


def test_draws_follow_from_the_seed(mixture: mixtures.Mixture) -> None:
    first, again, other = (mixtures.draw_points(mixture, 100, seed) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_exact_draws_score_what_real_data_scores(mixture: mixtures.Mixture) -> None:
    """Within 3 sigma in two dimensions are 1 - exp(-9 / 2) of a Gaussian, 98.9 %; k modes cost (k - 1) / 2n nats."""
    score = mixtures.score_modes(mixtures.draw_points(mixture, 100_000, seed=2), mixture)
    assert score.modes == len(mixture.centers)
    assert score.high_quality == pytest.approx(1 - math.exp(-4.5), abs=0.002)
    assert score.reverse_kl == pytest.approx((len(mixture.centers) - 1) / 200_000, abs=5e-4)
    # E[r^2 / 2 | r < 3] of r with the density r exp(-r^2 / 2)
    assert score.spread == pytest.approx(math.sqrt(1 - 4.5 * math.exp(-4.5) / (1 - math.exp(-4.5))), abs=0.01)


def test_all_points_at_one_mode(mixture: mixtures.Mixture) -> None:
    score = mixtures.score_modes(around(mixture, [3] * 10), mixture)
    assert score == (1.0, 1.0, pytest.approx(math.log(len(mixture.centers))), 0.0)


def test_two_modes_unequally_likely(mixture: mixtures.Mixture) -> None:
    """KL(q || p) of q = (3/4, 1/4) and uniform p; the other direction would be infinite."""
    score = mixtures.score_modes(around(mixture, [0, 0, 0, 5]), mixture)
    count = len(mixture.centers)
    assert score == (2.0, 1.0, pytest.approx(0.75 * math.log(0.75 * count) + 0.25 * math.log(0.25 * count)), 0.0)


def test_every_mode_equally_likely(mixture: mixtures.Mixture) -> None:
    every = list(range(len(mixture.centers)))
    assert mixtures.score_modes(around(mixture, every), mixture) == (
        len(every),
        1.0,
        pytest.approx(0.0, abs=1e-12),
        0.0,
    )


def test_quality_ends_at_three_sigma(mixture: mixtures.Mixture) -> None:
    """Points outside count for the share, but neither as a mode nor for the divergence."""
    inside, outside = around(mixture, [0, 1], 2.99), around(mixture, [2, 2, 2], 3.01)
    score = mixtures.score_modes(np.concatenate([inside, outside]), mixture)
    assert score == (2.0, 0.4, pytest.approx(math.log(len(mixture.centers) / 2)), pytest.approx(2.99 / math.sqrt(2)))


def test_no_point_near_a_mode_is_the_worst(mixture: mixtures.Mixture) -> None:
    score = mixtures.score_modes(np.full((5, 2), 100.0), mixture)
    assert score == (0.0, 0.0, pytest.approx(math.log(len(mixture.centers))), 0.0)


@pytest.mark.parametrize("shape", [(5,), (5, 3), (2, 5), (5, 2, 1), (0, 2)])
def test_points_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(mixtures.PointsError, match=r"points have shape .*, expected \(count, 2\)"):
        mixtures.score_modes(np.zeros(shape), MIXTURES["ring"])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_points_that_are_not_finite_are_refused(bad: float) -> None:
    points = np.zeros((5, 2))
    points[[1, 3], [0, 1]] = bad
    with pytest.raises(mixtures.PointsError, match="2 points are not finite"):
        mixtures.score_modes(points, MIXTURES["ring"])


def test_reverse_kl_of_counts() -> None:
    """KL(q || p) of q = (3/4, 1/4, 0, 0) and uniform p; it is the most where nothing is counted."""
    expected = 0.75 * math.log(0.75 * 4) + 0.25 * math.log(0.25 * 4)
    assert mixtures.measure_reverse_kl(np.array([3, 1, 0, 0])) == pytest.approx(expected)
    assert mixtures.measure_reverse_kl(np.array([5, 5, 5, 5])) == 0.0
    assert mixtures.measure_reverse_kl(np.zeros(4, int)) == pytest.approx(math.log(4))
