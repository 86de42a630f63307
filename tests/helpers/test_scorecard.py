"""The scorecard: one classifier for all, the same rows for all, and the right order of good and bad samples."""

from pathlib import Path

import numpy as np
import pytest

from helpers import data, metrics, networks, scorecard
from helpers.checks import ImageError
from helpers.scorecard import Scorer

WEIGHTS = Path(__file__).parents[2] / "results" / "weights"


def test_digits_whose_test_images_are_trained_on_are_refused(digits: data.Digits) -> None:
    leaked = digits._replace(train=data.Split(digits.test.images, digits.test.labels))
    with pytest.raises(data.LeakError, match="360 of the 360 training images are held out"):
        Scorer(leaked)


def test_digits_without_a_classifier_are_refused(digits: data.Digits) -> None:
    with pytest.raises(scorecard.ScorerError, match="no classifier for 'letters'; expected"):
        Scorer(digits._replace(name="letters"))


@pytest.mark.parametrize("name", scorecard.WEIGHTS.values())
def test_weights_are_small_and_plain(name: str) -> None:
    assert (WEIGHTS / name).stat().st_size <= 350_000
    with np.load(WEIGHTS / name, allow_pickle=False) as file:
        shapes = [file[key].shape for key in file.files]
        assert {file[key].dtype for key in file.files} == {np.dtype(np.float16)}
    assert shapes == [tuple(weight.shape) for weight in networks.build_classifier().weights]


def test_it_knows_digits(scorer: Scorer, digits: data.Digits) -> None:
    found = scorer.classify(digits.test.images)
    assert np.mean(found == digits.test.labels) == scorer.accuracy
    assert 0.96 < scorer.accuracy < 1.0  # that of the record, but for rounding
    assert np.mean(scorer.classify(digits.validation.images) == digits.validation.labels) > 0.96


def test_worse_samples_score_worse(scorer: Scorer, digits: data.Digits) -> None:
    """Noise was precise to the measures used before: near a real digit, in the features of a plain classifier."""
    count, mean = scorer.count, digits.train.images.mean(axis=0)
    means = np.stack([digits.train.images[digits.train.labels == digit].mean(axis=0) for digit in range(10)])
    rows = (
        digits.validation.images,
        data.draw_class_gaussians(digits.train, digits.test.labels, seed=0),
        data.draw_binary(np.broadcast_to(mean, (count, 28, 28, 1)), seed=0),
    )
    real, gaussians, noise = (scorer.score(images) for images in rows)
    assert 2 * real.frechet < gaussians.frechet < noise.frechet / 2
    assert real.told_apart < 0.6 < 0.9 < gaussians.told_apart
    assert gaussians.frechet < scorer.score(means[digits.test.labels]).frechet < noise.frechet
    one = scorer.score(np.repeat(digits.validation.images[:1], count, axis=0))
    assert one.frechet > 2 * noise.frechet


def test_the_test_digits_themselves_are_at_no_distance(scorer: Scorer, digits: data.Digits) -> None:
    assert scorer.score(digits.test.images).frechet == pytest.approx(0.0, abs=1e-6)


def test_the_features_are_those_before_the_last_layer(scorer: Scorer, digits: data.Digits) -> None:
    images = digits.test.images[:5]
    features = networks.build_feature_extractor(scorer.classifier)(images).numpy()
    np.testing.assert_allclose(scorer.extract(images), features, atol=1e-5)


@pytest.mark.parametrize("images", [np.zeros((0, 28, 28, 1), np.float32), np.full((2, 28, 28, 1), np.nan, np.float32)])
def test_what_is_no_image_has_neither_digit_nor_features(scorer: Scorer, images: np.ndarray) -> None:
    for ask in (scorer.classify, scorer.extract):
        with pytest.raises(ImageError):
            ask(images)
    assert scorer.classify(np.zeros((1, 28, 28, 1), np.float32)).shape == (1,)


@pytest.mark.parametrize("count", [359, 361])
def test_another_number_of_images_is_refused(scorer: Scorer, digits: data.Digits, count: int) -> None:
    images = np.concatenate([digits.validation.images, digits.test.images])[:count]
    with pytest.raises(metrics.SampleSizeError, match=rf"{count} images to score, expected 360"):
        scorer.score(images)


@pytest.mark.parametrize("method", ["classify", "extract", "score"])
def test_images_out_of_range_are_refused(scorer: Scorer, digits: data.Digits, method: str) -> None:
    with pytest.raises(ImageError, match="range from"):
        getattr(scorer, method)(digits.test.images * 255)


def test_bytes_are_refused(scorer: Scorer, digits: data.Digits) -> None:
    with pytest.raises(ImageError, match="have type uint8, expected float32"):
        scorer.score((digits.test.images * 255).astype(np.uint8))
