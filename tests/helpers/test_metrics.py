"""Metrics against closed forms and other implementations; and in the right order for good and bad."""

from functools import partial

import numpy as np
import pytest
from scipy import linalg, stats
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from helpers import data, metrics


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20140612)


def with_moments(rng: np.random.Generator, count: int, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Points whose own mean and covariance are exactly these, (count, dimensions)."""
    points = rng.standard_normal((count, len(mean)))
    points = np.linalg.solve(np.linalg.cholesky(np.cov(points.T)), (points - points.mean(axis=0)).T).T
    return mean + points @ np.linalg.cholesky(covariance).T


# The Frechet distance


def test_frechet_distance_of_known_gaussians(rng: np.random.Generator) -> None:
    """With covariances a^2 and b^2 along the axes it is |shift|^2 + sum (a - b)^2."""
    a, b, shift = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 0.1]), np.array([1.0, 0.0, -2.0])
    real = with_moments(rng, 50, np.zeros(3), np.diag(a**2))
    fake = with_moments(rng, 50, shift, np.diag(b**2))
    assert metrics.frechet_distance(real, fake) == pytest.approx(np.sum(shift**2) + np.sum((a - b) ** 2))


def test_frechet_distance_tends_to_that_of_the_distributions(rng: np.random.Generator) -> None:
    real, fake = rng.standard_normal((2, 100_000, 4))
    assert metrics.frechet_distance(real, 2.0 * fake + 0.5) == pytest.approx(4 * 0.5**2 + 4 * (2 - 1) ** 2, rel=0.02)


def test_frechet_distance_of_correlated_features_is_scipys(rng: np.random.Generator) -> None:
    mixing = rng.normal(size=(2, 6, 6))
    real, fake = rng.normal(size=(40, 6)) @ mixing[0], rng.normal(size=(40, 6)) @ mixing[1] + 0.3
    covariances = np.cov(real.T), np.cov(fake.T)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = np.sum((real.mean(axis=0) - fake.mean(axis=0)) ** 2) + np.trace(sum(covariances) - 2 * root)
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-8)
    assert metrics.frechet_distance(fake, real) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_copes_with_features_that_never_fire(rng: np.random.Generator) -> None:
    real, fake = np.zeros((2, 40, 5))
    real[:, :3], fake[:, :3] = rng.normal(size=(40, 3)), rng.normal(size=(40, 3)) + 1.0
    expected = metrics.frechet_distance(real[:, :3], fake[:, :3])
    assert metrics.frechet_distance(real, fake) == pytest.approx(expected, rel=1e-6)


# Coverage


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_coverage_is_what_its_definition_says(neighbours: int, rng: np.random.Generator) -> None:
    real, fake = rng.normal(size=(40, 3)), 1.5 * rng.normal(size=(40, 3)) + 1.5
    between, within = cdist(real, fake), cdist(real, real)
    radii = [sorted(np.delete(row, i))[neighbours - 1] for i, row in enumerate(within)]
    expected = sum(any(between[i, j] < radii[i] for j in range(40)) for i in range(40)) / 40
    assert 0.1 < expected < 0.9
    assert metrics.measure_coverage(real, fake, neighbours) == pytest.approx(expected)


def test_coverage_is_as_published(rng: np.random.Generator) -> None:
    """The unit test of Naeem et al.: two draws of N(0, I), 10,000 points in 1,000 dimensions, five neighbours."""
    real, fake = rng.standard_normal((2, 10_000, 1_000), dtype=np.float32)
    assert metrics.measure_coverage(real, fake) == pytest.approx(0.974, abs=0.03)  # four standard deviations


# Told apart


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.0])
def test_gaussians_are_told_apart_as_well_as_can_be(shift: float, rng: np.random.Generator) -> None:
    """The best classifier of N(0, 1) and N(shift, 1) orders the share Phi(shift / sqrt 2) of pairs rightly."""
    real, fake = rng.normal(size=(2, 1_000, 1))
    best = stats.norm.cdf(shift / np.sqrt(2.0))
    assert metrics.tell_apart(real, fake + shift) == pytest.approx(best, abs=0.035)  # two standard errors of 1/2


def test_sets_with_nothing_in_common_are_always_told_apart(rng: np.random.Generator) -> None:
    real = rng.random((50, 4, 4, 1))
    assert metrics.tell_apart(real, real + 2.0) == 1.0


def test_images_that_it_was_trained_on_do_not_count(rng: np.random.Generator) -> None:
    """The machine can learn any 100 images by heart; asked about those, it would always know."""
    assert 0.3 < metrics.tell_apart(*rng.random((2, 50, 28, 28, 1))) < 0.7


def test_halves_depend_on_the_seed_alone(rng: np.random.Generator) -> None:
    real, fake = rng.normal(size=(2, 50, 3))
    first, second, other = (metrics.tell_apart(real, fake, seed) for seed in (0, 0, 1))
    assert first == second != other


# The order of good and bad: identical, a model's worth of difference, collapsed


def rank(real: np.ndarray, *others: np.ndarray) -> None:
    """Each of the others is further from real than the one before it; none but the best passes for real."""
    distances = [metrics.frechet_distance(real, fake) for fake in others]
    apart = [metrics.tell_apart(real, fake) for fake in others[1:]]
    covered = [metrics.measure_coverage(real, fake) for fake in others]
    assert distances == sorted(set(distances))
    assert distances[0] == pytest.approx(0.0, abs=1e-6)
    assert apart[0] < 0.9 < min(apart[1:])
    assert covered == sorted(set(covered), reverse=True)
    assert covered[0] == 1.0


def test_features_are_ranked_identical_trained_collapsed(rng: np.random.Generator) -> None:
    real, drawn = rng.normal(size=(2, 300, 8))
    trained = 0.9 * drawn + 0.2
    collapsed = real[:3].repeat(100, axis=0) + 0.01 * rng.normal(size=real.shape)
    rank(real, real.copy(), trained, collapsed)


def test_digits_are_ranked_identical_trained_collapsed(rng: np.random.Generator) -> None:
    digits = data.load_small_digits()
    pca = PCA(16, random_state=0).fit(digits.train.images.reshape(-1, 784))

    def features(images: np.ndarray) -> np.ndarray:
        return pca.transform(images.reshape(-1, 784))

    unseen = digits.validation.images
    noisy = np.clip(unseen + 0.3 * rng.normal(size=unseen.shape), 0.0, 1.0)
    one_class = digits.train.images[digits.train.labels == 1][:90].repeat(4, axis=0)
    real = features(digits.test.images)
    rank(real, real.copy(), *(features(images) for images in (unseen, noisy, one_class)))


# The likelihood


def test_importance_weighted_nll_is_minus_the_log_of_the_mean_weight() -> None:
    weights = np.array([[0.1, 0.4, 0.5], [0.3, 0.2, 0.5]])  # (samples, count)
    bounds = -np.log([0.2, 0.3, 0.5])
    found = metrics.importance_weighted_nll(np.log(weights))
    assert found == pytest.approx((bounds.mean(), bounds.std(ddof=1) / np.sqrt(3)))


def test_importance_weighted_nll_does_not_underflow() -> None:
    value, standard_error = metrics.importance_weighted_nll(np.full((5, 4), -2_000.0, np.float32))
    assert (value, standard_error) == (pytest.approx(2_000.0), 0.0)


def test_importance_weighted_nll_falls_to_the_truth_with_more_samples(rng: np.random.Generator) -> None:
    """Log-normal weights of mean 1: the true value is 0, one sample gives half the variance of their logarithm."""
    log_weights = rng.normal(-0.5, 1.0, size=(1_000, 500))
    few, many = (metrics.importance_weighted_nll(log_weights[:samples])[0] for samples in (1, 1_000))
    assert few == pytest.approx(0.5, abs=0.2)
    assert many == pytest.approx(0.0, abs=0.01)


# Classes, neighbours, copies


def test_classes_count_from_one_in_a_hundred() -> None:
    assert metrics.count_classes(np.arange(1_000) % 10) == 10
    assert metrics.count_classes([3] * 990 + [5] * 10) == 2
    assert metrics.count_classes([3] * 991 + [5] * 9) == 1
    assert metrics.count_classes([3] * 80 + [5] * 20, minimum_share=0.25) == 1


def test_nearest_references_are_the_nearest(rng: np.random.Generator) -> None:
    images, references = rng.random((5, 4, 4, 1)), rng.random((30, 4, 4, 1))
    distances = cdist(images.reshape(5, -1), references.reshape(30, -1))
    indices, found = metrics.find_nearest(images, references)
    assert indices.tolist() == distances.argmin(axis=1).tolist()
    np.testing.assert_allclose(found, distances.min(axis=1))


def test_copies_of_training_images_are_told_from_new_ones(rng: np.random.Generator) -> None:
    train, held_out, fresh = rng.random((900, 6, 6, 1)), *rng.random((2, 300, 6, 6, 1))
    new = rng.random((200, 6, 6, 1))
    measure = partial(metrics.measure_memorisation, train=train, held_out=held_out, fresh=fresh)
    assert measure(new) == pytest.approx(1.0, abs=0.02)
    assert measure(0.98 * held_out) > 1.8
    for third in np.split(train, 3):  # wherever the copied images stand
        assert measure(0.98 * third) < 0.1
        for share in (0.1, 0.5):
            mixed = np.concatenate([new[: int(200 * (1 - share))], third[: int(200 * share)]])
            assert measure(mixed) == pytest.approx(1.0 - share, abs=0.03)


def test_what_is_near_to_all_digits_is_no_copy(rng: np.random.Generator) -> None:
    train, held_out, fresh = rng.random((900, 6, 6, 1)), *rng.random((2, 300, 6, 6, 1))
    means = np.repeat(train.mean(axis=0)[None], 20, axis=0)
    assert metrics.measure_memorisation(means, train, held_out, fresh) == pytest.approx(1.0, abs=0.1)


# What is refused

FEATURES = np.random.default_rng(0).normal(size=(50, 4))


@pytest.mark.parametrize("metric", [metrics.frechet_distance, metrics.measure_coverage])
@pytest.mark.parametrize(
    ("real", "fake", "error", "message"),
    [
        (FEATURES, FEATURES[:49], metrics.SampleSizeError, "50 real and 49 fake examples; expected as many of each"),
        (FEATURES[:4], FEATURES[:4], metrics.SampleSizeError, "4 real and 4 fake examples; .* [56] or more"),
        (FEATURES, FEATURES[:, :3], metrics.FeatureError, r"shapes \(50, 4\) and \(50, 3\), expected"),
        (FEATURES.reshape(50, 2, 2), FEATURES, metrics.FeatureError, "expected .count, dimensions. twice"),
        (FEATURES, np.where(FEATURES > 2, np.nan, FEATURES), metrics.FeatureError, "not finite"),
        (np.where(FEATURES > 2, np.inf, FEATURES), FEATURES, metrics.FeatureError, "not finite"),
    ],
    ids=["unequal counts", "too few", "unequal dimensions", "not flat", "NaN", "infinite"],
)
def test_wrong_features_are_refused(metric, real: np.ndarray, fake: np.ndarray, error, message: str) -> None:
    with pytest.raises(error, match=message):
        metric(real, fake)


def test_gaussians_have_two_dimensions_or_more() -> None:
    with pytest.raises(metrics.FeatureError, match=r"features have shape \(50, 1\), expected .*, 2 or more of them"):
        metrics.frechet_distance(FEATURES[:, :1], FEATURES[:, :1])


def test_the_least_count_of_each_metric() -> None:
    assert metrics.frechet_distance(FEATURES[:5], FEATURES[:5]) == pytest.approx(0.0, abs=1e-9)
    with pytest.raises(metrics.SampleSizeError, match="5 or more"):
        metrics.frechet_distance(FEATURES[:4], FEATURES[:4])
    assert metrics.measure_coverage(FEATURES[:3], FEATURES[:3], neighbours=2) == 1.0
    with pytest.raises(metrics.SampleSizeError, match="4 or more"):
        metrics.measure_coverage(FEATURES[:3], FEATURES[:3], neighbours=3)
    assert metrics.tell_apart(FEATURES[:10], FEATURES[10:20]) <= 1.0
    with pytest.raises(metrics.SampleSizeError, match="10 or more"):
        metrics.tell_apart(FEATURES[:9], FEATURES[10:19])


def test_images_of_two_sizes_cannot_be_told_apart() -> None:
    with pytest.raises(metrics.FeatureError, match=r"shapes \(20, 16\) and \(20, 9\)"):
        metrics.tell_apart(np.zeros((20, 4, 4, 1)), np.zeros((20, 3, 3, 1)))


@pytest.mark.parametrize("shape", [(5,), (0, 4), (5, 1), (2, 3, 4)])
def test_wrong_log_weights_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(metrics.SampleSizeError, match=r"expected \(samples, count\)"):
        metrics.importance_weighted_nll(np.zeros(shape))


def test_too_few_labels_are_refused() -> None:
    with pytest.raises(metrics.SampleSizeError, match="99 labels are too few"):
        metrics.count_classes(np.zeros(99, int))


def test_memorisation_needs_images_and_fresh_ones_of_their_own(rng: np.random.Generator) -> None:
    # in 256ths products have no rounding, which differs between CPUs: an image is at distance 0 from itself
    images, train, held_out, fresh = rng.integers(256, size=(4, 5, 2)) / 256
    with pytest.raises(metrics.SampleSizeError, match="images and fresh: no image"):
        metrics.measure_memorisation(images[:0], train, held_out, fresh[:0])
    for references in ((train, fresh), (fresh, held_out)):
        with pytest.raises(metrics.SampleSizeError, match="every fresh image is one of train or held_out"):
            metrics.measure_memorisation(images, *references, fresh)


# Likelihoods of mixtures of fixed images


def test_mixture_likelihood_of_all_images_sums_to_one() -> None:
    """Over every binary image of three pixels; no such sum holds for a wrong weight or a forgotten logarithm."""
    every = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    components = np.array([[0.9, 0.2, 0.5], [0.1, 0.7, 0.3]])
    total = sum(np.exp(-metrics.bernoulli_mixture_nll(image[None], components)) for image in every)
    assert total == pytest.approx(1.0)


def test_mixture_likelihood_is_the_mean_over_components() -> None:
    image, components = np.array([[1.0, 0.0]]), np.array([[0.9, 0.2], [0.5, 0.5]])
    expected = -np.log(0.5 * (0.9 * 0.8 + 0.5 * 0.5))
    assert metrics.bernoulli_mixture_nll(image, components) == pytest.approx(expected)


def test_mixture_likelihood_of_an_impossible_pixel_stays_finite() -> None:
    assert metrics.bernoulli_mixture_nll(np.ones((1, 2)), np.array([[0.0, 1.0]])) == pytest.approx(-np.log(1e-6), 1e-3)


def test_mixture_of_another_size_is_refused() -> None:
    with pytest.raises(metrics.FeatureError, match="images of 3 pixels, components of 4"):
        metrics.bernoulli_mixture_nll(np.ones((1, 3)), np.ones((1, 4)))


def test_smooth_mean_is_never_certain() -> None:
    mean = metrics.smooth_mean(np.array([[0.0, 1.0, 0.5], [0.0, 1.0, 0.0]]))
    np.testing.assert_allclose(mean, [0.5 / 3, 2.5 / 3, 1.0 / 3])
