"""The networks: shapes, ranges, and that at inference each example is treated alone."""

import keras
import numpy as np
import pytest

from helpers import models, networks
from helpers.book.surroundings import SettingsError

IMAGE = (28, 28, 1)


def uniform_images(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, *IMAGE), dtype=np.float32)


FROM_LATENT = [
    pytest.param(lambda: networks.build_dense_generator(7, widths=(20,)), id="dense generator"),
    pytest.param(lambda: networks.build_convolutional_generator(7, channels=4), id="convolutional generator"),
    pytest.param(lambda: networks.build_dense_decoder(7, widths=(20, 30)), id="decoder"),
]
FROM_IMAGES = [
    pytest.param(lambda: networks.build_classifier(feature_size=12), (10,), id="classifier"),
    pytest.param(lambda: networks.build_dense_discriminator(widths=(20,)), (1,), id="dense discriminator"),
    pytest.param(lambda: networks.build_convolutional_discriminator(channels=4), (1,), id="convolutional"),
    pytest.param(
        lambda: networks.build_feature_extractor(networks.build_classifier(feature_size=12)), (12,), id="features"
    ),
]


@pytest.mark.parametrize(
    ("network", "weights"),
    [  # of layers that are written out, inputs x outputs + outputs each
        (lambda: networks.build_dense_generator(10), 10 * 256 + 256 + 256 * 256 + 256 + 256 * 196 + 196),
        (networks.build_dense_discriminator, 784 * 256 + 256 + 256 * 256 + 256 + 256 + 1),
        (lambda: networks.build_dense_encoder(10), 784 * 400 + 400 + 400 * 200 + 200 + 2 * (200 * 10 + 10)),
        (lambda: networks.build_dense_decoder(10), 10 * 200 + 200 + 200 * 400 + 400 + 400 * 784 + 784),
    ],
    ids=["generator", "discriminator", "encoder", "decoder"],
)
def test_networks_are_as_large_as_the_book_says(network, weights: int) -> None:
    assert network().count_params() == weights


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda: networks.build_dense_generator(1, widths=(1,)), id="dense generator"),
        pytest.param(lambda: networks.build_convolutional_generator(1, channels=1), id="convolutional generator"),
        pytest.param(lambda: networks.build_dense_decoder(1, widths=(1,)), id="decoder"),
    ],
)
def test_the_smallest_sizes_are_sizes(build) -> None:
    assert build()(models.draw_latent(2, 1, seed=0)).shape == (2, *IMAGE)


@pytest.mark.parametrize("build", FROM_LATENT)
def test_latent_vectors_become_images(build) -> None:
    network = build()
    assert network.input_shape == (None, 7)  # the models read the latent size here
    assert network(models.draw_latent(3, 7, seed=0)).shape == (3, *IMAGE)


@pytest.mark.parametrize(("build", "shape"), FROM_IMAGES)
def test_images_become(build, shape: tuple[int, ...]) -> None:
    assert build()(uniform_images(3)).shape == (3, *shape)


def test_encoder_gives_mean_and_log_variance() -> None:
    mean, log_variance = networks.build_dense_encoder(5, widths=(20,))(uniform_images(3))
    assert mean.shape == log_variance.shape == (3, 5)
    assert np.any(mean != log_variance)


@pytest.mark.parametrize("build", FROM_LATENT[:2])
def test_generators_stay_within_the_range_of_images(build) -> None:
    images = build()(1e3 * models.draw_latent(50, 7, seed=0)).numpy()
    assert images.min() < 0.01
    assert images.max() > 0.99
    assert np.all((images >= 0.0) & (images <= 1.0))


@pytest.mark.parametrize(
    ("build", "inputs"),
    [
        pytest.param(lambda: networks.build_dense_decoder(7), 1e3 * models.draw_latent(50, 7, seed=0), id="decoder"),
        pytest.param(networks.build_dense_discriminator, 1e3 * uniform_images(50), id="dense discriminator"),
        pytest.param(networks.build_convolutional_discriminator, 1e3 * uniform_images(50), id="convolutional"),
        pytest.param(networks.build_classifier, 1e3 * uniform_images(50), id="classifier"),
    ],
)
def test_logits_have_no_bounds(build, inputs: np.ndarray) -> None:
    assert np.abs(build()(inputs)).max() > 1.0


@pytest.mark.parametrize("build", FROM_LATENT)
def test_a_latent_vector_gives_the_same_image_in_any_batch(build) -> None:
    network, latent = build(), models.draw_latent(6, 7, seed=0)
    together, alone = network(latent, training=False), network(latent[:1], training=False)
    np.testing.assert_allclose(together[:1], alone, atol=1e-6)


@pytest.mark.parametrize(("build", "shape"), FROM_IMAGES)
def test_an_image_gives_the_same_output_in_any_batch(build, shape: tuple[int, ...]) -> None:
    network, images = build(), uniform_images(6)
    np.testing.assert_allclose(network(images)[:1], network(images[:1]), atol=1e-5)


def test_features_are_what_the_classifier_decides_by() -> None:
    classifier, images = networks.build_classifier(feature_size=12), uniform_images(4)
    features = networks.build_feature_extractor(classifier)(images).numpy()
    weights, bias = classifier.layers[-1].get_weights()
    np.testing.assert_allclose(features @ weights + bias, classifier(images), atol=1e-5)


def test_every_weight_of_a_discriminator_matters_to_its_output() -> None:
    for network in (networks.build_dense_discriminator((20, 10)), networks.build_convolutional_discriminator(4)):
        before = network(uniform_images(4)).numpy()
        for variable in network.trainable_variables:
            value = variable.numpy()
            variable.assign_add(np.ones_like(value))
            assert np.abs(network(uniform_images(4)) - before).max() > 1e-4, variable.path
            variable.assign(value)


@pytest.mark.parametrize(
    "build",
    [
        lambda: networks.build_classifier(12),
        lambda: networks.build_dense_generator(7, (20,)),
        lambda: networks.build_convolutional_generator(7, 4),
        lambda: networks.build_convolutional_discriminator(4),
        lambda: networks.build_dense_flow(width=8, blocks=1),
    ],
)
def test_channels_that_come_first_are_refused_where_images_are_meant(build) -> None:
    """Keras would take 28 rows for 28 channels, and build a network that trains, only worse."""
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(SettingsError, match=r"keras\.config\.set_image_data_format\('channels_last'\)\.$"):
            build()
    finally:
        keras.config.set_image_data_format("channels_last")
    build()
