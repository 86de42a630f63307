"""One scorecard for samples of any model: a classifier that knows digits, and the test digits to compare with."""

from typing import NamedTuple

import keras
import numpy as np

from helpers import data, metrics, networks
from helpers.checks import check_images


class Score(NamedTuple):
    """How near a set of samples is to the test digits, and how many of the ten digits it holds."""

    frechet: float
    precision: float
    recall: float
    density: float
    coverage: float
    classes: int


class Scorer:
    """Compares images with the test digits, through the features of a classifier trained on the training digits.

    digits: a data.Digits. epochs: passes of the classifier over the training split. The classifier has a seed of its
    own, the same in every run, because distances in the features of two classifiers are on two scales.
    count: how many images each score takes, as many as the validation split has; accuracy: on the test digits.
    Raises LeakError where a training image is also a test image. Source of the idea: Heusel et al. 2017.
    """

    def __init__(self, digits, epochs, verbose=0):
        images, labels = digits.train
        data.refuse_held_out(images, digits.test.images)
        keras.utils.set_random_seed(0)
        self.classifier = networks.build_classifier()
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.classifier.compile("adam", cross_entropy)
        self.classifier.fit(images, labels, batch_size=64, epochs=epochs, verbose=verbose)
        self._extractor = networks.build_feature_extractor(self.classifier)
        self.accuracy = float(np.mean(self.classify(digits.test.images) == digits.test.labels))
        self.count = min(len(digits.validation.images), len(digits.test.images))
        self._real = self.extract(digits.test.images[: self.count])

    def classify(self, images):
        """Return the digit that the classifier sees in each image, (count,), of images, (count, 28, 28, 1)."""
        return self.classifier.predict(check_images(images), batch_size=512, verbose=0).argmax(axis=1)

    def extract(self, images):
        """Return the features, (count, 32), of images, (count, 28, 28, 1)."""
        return self._extractor.predict(check_images(images), batch_size=512, verbose=0)

    def score(self, images):
        """Return the Score of images, (self.count, 28, 28, 1). Raises SampleSizeError for another number of them."""
        if len(images) != self.count:
            raise metrics.SampleSizeError(f"{len(images)} images to score, expected {self.count}, as in every row.")
        features = self.extract(images)
        return Score(
            metrics.frechet_distance(self._real, features),
            *metrics.compare_manifolds(self._real, features),
            metrics.count_classes(self.classify(images)),
        )
