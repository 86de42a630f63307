"""One scorecard for samples of any model: a classifier that knows digits, and the test digits to compare with."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from helpers import data, metrics, networks
from helpers.arguments import check_choice
from helpers.book.bands import find_results
from helpers.checks import ImageError, check_digits, check_images, check_numbers
from helpers.files import check_arrays

# Trained by the study `measures`, whose record says what each measure sees and what it lets pass.
WEIGHTS = {"scikit-learn digits": "classifier_digits.npz", "MNIST": "classifier_mnist.npz"}
LARGEST_WEIGHT = 1e3  # those of the book are below 3
MOST = 2_000  # images in a score: two sets of them are told apart in seconds


class ScorerError(ValueError):
    """There is no classifier for these digits."""


class Score(NamedTuple):
    """How far a set of samples is from the test digits; for each measure the study `measures` has the trivial rows.

    frechet: 0 for the same images, no upper end; told_apart: 1/2 where they cannot be told apart, 1 where they always
    can.
    """

    frechet: float
    told_apart: float


class Scorer:
    """Compares images with test digits; the Frechet distance is taken in the features of a classifier.

    digits: a data.Digits. The classifier has been trained on the training digits, with small turns, shifts and shears,
    by the study `measures`; its weights are stored, so that all chapters and runs measure by the same one.
    count: how many images each score takes; accuracy: the classifier's, on all test digits.
    Raises ScorerError for other data, ImageError and LabelError for images or labels of another kind in any of the
    three splits, LeakError where a training image is also a test image.
    """

    def __init__(self, digits: data.Digits) -> None:
        check_digits(digits)
        if digits.name not in WEIGHTS:
            raise ScorerError(f"no classifier for {digits.name!r}; expected {' or '.join(WEIGHTS)}.")
        data.refuse_held_out(digits.train.images, digits.test.images)
        self.classifier = load_classifier(WEIGHTS[digits.name])
        self._extractor = networks.build_feature_extractor(self.classifier)
        self.count = min(len(digits.validation.images), len(digits.test.images), MOST)
        self._real = digits.test.images[: self.count]
        self._real_features = self.extract(self._real)
        self.accuracy = float(np.mean(self.classify(digits.test.images) == digits.test.labels))

    def classify(self, images: np.ndarray) -> np.ndarray:
        """Return the digit that the classifier sees in each image, (count,), of images, (count, 28, 28, 1)."""
        check_numbers(ImageError, 1, images=images)
        return self.classifier.predict(check_images(images), batch_size=512, verbose=0).argmax(axis=1)

    def extract(self, images: np.ndarray) -> np.ndarray:
        """Return the features, (count, 64), of images, (count, 28, 28, 1)."""
        check_numbers(ImageError, 1, images=images)
        return self._extractor.predict(check_images(images), batch_size=512, verbose=0)

    def score(self, images: np.ndarray) -> Score:
        """Return the Score of images, (self.count, 28, 28, 1).

        Raises ImageError for images that are not float32 in [0, 1], SampleSizeError for another number of them.
        """
        if len(check_images(images)) != self.count:
            raise metrics.SampleSizeError(f"{len(images)} images to score, expected {self.count}, as in every row.")
        features = self.extract(images)
        return Score(
            metrics.frechet_distance(self._real_features, features),
            metrics.tell_apart(self._real, images),
        )


def load_classifier(name: str) -> keras.Model:
    """Return the classifier whose weights results/weights/NAME holds, in the order of get_weights, as float16.

    Raises ArgumentError for a name that there is not.
    """
    check_choice(WEIGHTS.values(), name=name)
    classifier = networks.build_classifier()
    _check_weights(find_results() / "weights" / name, classifier)
    with np.load(find_results() / "weights" / name) as file:
        classifier.set_weights([file[key] for key in file.files])
    return classifier


def _check_weights(path: Path, network: keras.Model) -> None:
    """Raise ScorerError unless a file holds an array of the right shape, and finite, for each weight of a network."""
    check_arrays(path, ScorerError)
    try:
        with np.load(path) as file:
            found = [file[name] for name in file.files]
    except Exception as error:  # zipfile has many for bytes of chance
        raise ScorerError(f"{path} cannot be read ({error}); install the book's helpers again.") from error
    shapes, expected = [one.shape for one in found], [one.shape for one in network.get_weights()]
    if shapes != expected or not all(_are_weights(one) for one in found):
        raise ScorerError(f"{path} holds no weights of this classifier; install the book's helpers again.")


def _are_weights(array: np.ndarray) -> bool:
    return array.dtype in (np.float16, np.float32) and bool((np.abs(array) < LARGEST_WEIGHT).all())
