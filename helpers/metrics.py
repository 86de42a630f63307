"""How good and how varied samples are: arrays in, floats out; nothing here knows a model."""

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import NearestNeighbors
from sklearn.svm import SVC

from helpers.arguments import check_positive, check_whole
from helpers.checks import (
    ROUNDING,
    ImageError,
    check_labels,
    check_not_huge,
    check_numbers,
    check_pictures,
    check_points,
)


class SampleSizeError(ValueError):
    """Too few examples, or unequal numbers of them, for the metric to mean anything."""


class FeatureError(ValueError):
    """Features are not finite, or are not (count, dimensions) with equal dimensions."""


def frechet_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the Frechet distance between Gaussians fitted to two sets of features: 0 for equal ones, no upper end.

    real, fake: (count, dimensions), as many of each and more than dimensions: the value falls with the count, so only
    distances at one count compare. Raises SampleSizeError, FeatureError. Source: Heusel et al. 2017, section 3.
    """
    check_numbers(FeatureError, 1, real=real, fake=fake)
    check_not_huge(FeatureError, real=real, fake=fake)
    _check_dimensions(real)
    real, fake = _check_pair(real, fake, minimum=np.shape(real)[-1] + 1)
    real_covariance, fake_covariance = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    # The trace of sqrt(A B) is that of the symmetric sqrt(sqrt(A) B sqrt(A)), which needs no complex numbers.
    values, vectors = np.linalg.eigh(real_covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ fake_covariance @ root), 0.0)).sum()
    shift = np.square(real.mean(axis=0) - fake.mean(axis=0)).sum()
    return float(max(shift + np.trace(real_covariance) + np.trace(fake_covariance) - 2.0 * cross, 0.0))


def tell_apart(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> float:
    """Return how well a classifier tells two sets of images apart: 1/2 where it has to guess, 1 where it always knows.

    It is the share of pairs of a real and a fake image (the area under the ROC curve) that a support vector machine
    puts in the right order, on the half of the images that it was not trained on; the mean over both halves.
    real, fake: (count, ...), as many of each, 10 or more; seed: of the halves. Raises SampleSizeError, FeatureError.
    Source: Lopez-Paz and Oquab 2017, with the area in the place of the accuracy.
    """
    check_numbers(FeatureError, 1, real=real, fake=fake)
    check_not_huge(FeatureError, real=real, fake=fake)
    check_whole(0, 2**32 - 1, seed=seed)
    real, fake = (np.reshape(images, (len(images), -1)) for images in (real, fake))
    real, fake = _check_pair(real, fake, minimum=10)
    halves = StratifiedKFold(2, shuffle=True, random_state=seed)
    points, origin = np.concatenate([real, fake]), np.repeat([0, 1], len(real))
    return float(cross_val_score(SVC(C=10.0), points, origin, cv=halves, scoring="roc_auc").mean())


def measure_coverage(real: np.ndarray, fake: np.ndarray, neighbours: int = 5) -> float:
    """Return the share of real points whose ball, up to their k-th nearest real neighbour, holds a fake point.

    real, fake: (count, dimensions), as many of each and more than neighbours. Raises SampleSizeError, FeatureError.
    Source: Naeem et al. 2020, section 3.2.
    """
    check_numbers(FeatureError, real=real, fake=fake)
    check_not_huge(FeatureError, real=real, fake=fake)
    check_whole(neighbours=neighbours)
    real, fake = _check_pair(real, fake, minimum=neighbours + 1)
    radii = NearestNeighbors(n_neighbors=neighbours).fit(real).kneighbors()[0][:, -1]  # (count,)
    return float(np.mean(pairwise_distances_argmin_min(real, fake)[1] < radii))


def importance_weighted_nll(log_weights: np.ndarray) -> tuple[float, float]:
    """Return (bound, standard error): minus log of the mean weight, averaged over examples, in nats.

    log_weights: (samples, count), log p(x, z) - log q(z | x) for z drawn from q(z | x). The bound is at or above the
    negative log-likelihood in expectation and falls towards it with more samples; the standard error is over examples.
    Raises SampleSizeError for fewer than two examples or no sample, FeatureError for NaN. Source: Burda et al. 2016,
    equation 8.
    """
    check_numbers(FeatureError, log_weights=log_weights)
    check_points(FeatureError, log_weights=np.maximum(np.asarray(log_weights, float), -1e30))  # 0 is a weight
    log_weights = np.asarray(log_weights, np.float64)
    if log_weights.ndim != 2 or log_weights.shape[0] < 1 or log_weights.shape[1] < 2:
        raise SampleSizeError(
            f"log weights have shape {log_weights.shape}, expected (samples, count), count 2 or more."
        )
    bounds = np.log(len(log_weights)) - logsumexp(log_weights, axis=0)  # (count,)
    return float(bounds.mean()), float(bounds.std(ddof=1) / np.sqrt(len(bounds)))


def bernoulli_mixture_nll(images: np.ndarray, components: np.ndarray) -> float:
    """Return the mean negative log-likelihood, in nats an image, under a mixture of equally likely images.

    images: binary, (count, ...); components: pixel probabilities, (components, ...), kept 1e-6 away from 0 and 1. One
    component is a per-pixel Bernoulli model; the grey test images themselves give a floor that no honest model passes
    by much. Raises FeatureError where images and components differ in size or images are not binary, ImageError for
    components outside [0, 1].
    """
    check_points(FeatureError, 1, images=images)
    check_points(FeatureError, 1, components=components)
    _check_binary(images)
    check_pictures(np.asarray(components), "components", ROUNDING, any_shape=True)
    flat, p = (np.reshape(array, (len(array), -1)).astype(np.float64) for array in (images, components))
    if flat.shape[1] != p.shape[1]:
        raise FeatureError(f"images of {flat.shape[1]} pixels, components of {p.shape[1]}; expected as many.")
    p = np.clip(p, 1e-6, 1 - 1e-6)
    log_likelihoods = flat @ (np.log(p) - np.log1p(-p)).T + np.log1p(-p).sum(axis=1)  # (count, components)
    return float(np.mean(np.log(len(p)) - logsumexp(log_likelihoods, axis=1)))


def smooth_mean(images: np.ndarray) -> np.ndarray:
    """Return the mean image, with half an image inked and half not added: never seen inked is not impossible.

    images: (count, ...) in [0, 1]. Returns that shape without its first axis, strictly between 0 and 1. Raises
    ImageError.
    """
    check_numbers(ImageError, 1, arrays=True, images=images)
    check_pictures(images, loose=ROUNDING, any_shape=True)
    return (images.sum(axis=0) + 0.5) / (len(images) + 1)


def count_classes(labels: np.ndarray, minimum_share: float = 0.01) -> int:
    """Return how many classes hold at least minimum_share of the labels, (count,); a hundred labels at the least.

    Raises SampleSizeError for fewer, LabelError for anything but whole numbers from 0, ArgumentError for another share.
    """
    check_labels(labels)
    check_positive(below=1.0, minimum_share=minimum_share)
    labels = np.asarray(labels)
    if labels.size < 100:
        raise SampleSizeError(f"{labels.size} labels are too few to see a class of 1 in 100; give 100 or more.")
    return int(np.sum(np.unique(labels, return_counts=True)[1] >= minimum_share * labels.size))


def find_nearest(images: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices, distances): the nearest reference of each image, Euclidean over pixels, (count,) each.

    images, references: (count, ...), one or more of each, of as many pixels. Raises FeatureError.
    """
    check_points(FeatureError, 1, images=images, references=references)
    check_not_huge(FeatureError, images=images, references=references)
    flat_images, flat_references = (np.reshape(array, (len(array), -1)) for array in (images, references))
    return pairwise_distances_argmin_min(flat_images, flat_references)


def measure_memorisation(images: np.ndarray, train: np.ndarray, held_out: np.ndarray, fresh: np.ndarray) -> float:
    """Return how near images lie to training images: 1 as fresh real images do, 0 as copies do.

    Of each image, take a / (a + b): a is its distance to the nearest training image, b that to the nearest held-out
    one. The mean is divided by that of the fresh images: among more images the nearest is nearer, for fresh ones too.
    All are (count, ...), of any counts; held_out and fresh are real, unseen in training, sharing no image. Source: the
    three samples of Meehan et al. 2020. Raises SampleSizeError, FeatureError.
    """
    check_points(FeatureError, images=images, train=train, held_out=held_out, fresh=fresh)
    check_not_huge(FeatureError, images=images, train=train, held_out=held_out, fresh=fresh)
    given = {"images": images, "train": train, "held_out": held_out, "fresh": fresh}
    if empty := [name for name, some in given.items() if not len(some)]:
        raise SampleSizeError(f"{' and '.join(empty)}: no image; give one or more, a hundred for a number to trust.")

    def compare(some: np.ndarray) -> float:
        to_train, to_held_out = (find_nearest(some, references)[1] for references in (train, held_out))
        both = to_train + to_held_out
        return float(np.divide(to_train, both, out=np.full(len(some), 0.5), where=both > 0.0).mean())

    expected = compare(fresh)
    if not 0.0 < expected < 1.0:
        raise SampleSizeError("every fresh image is one of train or held_out; give real images that are in neither.")
    return compare(images) / expected


def _check_pair(real: np.ndarray, fake: np.ndarray, minimum: int) -> tuple[np.ndarray, np.ndarray]:
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise FeatureError(f"features have shapes {real.shape} and {fake.shape}, expected (count, dimensions) twice.")
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        raise FeatureError("features hold values that are not finite; look at the images that they come from.")
    if len(real) != len(fake) or len(real) < minimum:
        raise SampleSizeError(
            f"{len(real)} real and {len(fake)} fake examples; expected as many of each, {minimum} or more."
        )
    return real, fake


def _check_dimensions(features: np.ndarray) -> None:
    if np.ndim(features) == 2 and np.shape(features)[1] < 2:
        raise FeatureError(
            f"features have shape {np.shape(features)}, expected (count, dimensions), 2 or more of them."
        )


def _check_binary(images: np.ndarray) -> None:
    if not np.isin(images, (0.0, 1.0)).all():
        raise FeatureError("images hold other values than 0 and 1; try data.draw_binary(images, seed=1).")
