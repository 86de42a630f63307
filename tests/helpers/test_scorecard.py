"""The scorecard: one classifier for all, the same rows for all, and the right order of good and bad samples."""

import keras
import numpy as np
import pytest

from helpers import data, metrics, networks
from helpers.checks import ImageError
from helpers.scorecard import Scorer


def test_only_training_images_reach_fit(digits: data.Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    handed = []
    monkeypatch.setattr(keras.Model, "fit", lambda self, *given, **options: handed.append(given))
    Scorer(digits, epochs=1)
    ((images, labels),) = handed
    np.testing.assert_array_equal(images, digits.train.images)
    np.testing.assert_array_equal(labels, digits.train.labels)


def test_training_on_test_images_is_refused(digits: data.Digits) -> None:
    leaked = digits._replace(train=data.Split(digits.test.images, digits.test.labels))
    with pytest.raises(data.LeakError, match="360 of the 360 training images are held out"):
        Scorer(leaked, epochs=1)


def test_it_knows_digits(scorer: Scorer, digits: data.Digits) -> None:
    assert scorer.accuracy > 0.8
    found = scorer.classify(digits.test.images)
    assert np.mean(found == digits.test.labels) == scorer.accuracy


def test_every_run_has_the_same_eyes(digits: data.Digits) -> None:
    first, second = (Scorer(digits, epochs=1).extract(digits.test.images[:20]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_better_samples_score_better(scorer: Scorer, digits: data.Digits) -> None:
    real = scorer.score(digits.validation.images)
    gaussians = scorer.score(data.draw_class_gaussians(digits.train, digits.test.labels, seed=0))
    noise = scorer.score(np.random.default_rng(0).random((scorer.count, 28, 28, 1), np.float32))
    assert real.frechet < gaussians.frechet < noise.frechet
    assert real.coverage > gaussians.coverage > noise.coverage
    assert real.recall > gaussians.recall
    assert real.classes == 10 > noise.classes


def test_the_test_digits_themselves_are_at_no_distance(scorer: Scorer, digits: data.Digits) -> None:
    assert scorer.score(digits.test.images).frechet == pytest.approx(0.0, abs=1e-6)


def test_the_features_are_those_before_the_last_layer(scorer: Scorer, digits: data.Digits) -> None:
    images = digits.test.images[:5]
    features = networks.build_feature_extractor(scorer.classifier)(images).numpy()
    np.testing.assert_allclose(scorer.extract(images), features, atol=1e-5)


@pytest.mark.parametrize("count", [359, 361])
def test_another_number_of_images_is_refused(scorer: Scorer, digits: data.Digits, count: int) -> None:
    images = np.concatenate([digits.validation.images, digits.test.images])[:count]
    with pytest.raises(metrics.SampleSizeError, match=rf"{count} images to score, expected 360"):
        scorer.score(images)


@pytest.mark.parametrize("method", ["classify", "extract", "score"])
def test_images_out_of_range_are_refused(scorer: Scorer, digits: data.Digits, method: str) -> None:
    with pytest.raises(ImageError, match="range from"):
        getattr(scorer, method)(digits.test.images * 255)
