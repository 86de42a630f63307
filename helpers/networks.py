"""The networks of the book: each function builds one, untrained, and raises ArgumentError for sizes it cannot have."""

from collections.abc import Sequence

import keras
from keras import layers

from helpers.arguments import MOST_BLOCKS, MOST_CHANNELS, MOST_UNITS, check_flags, check_kind, check_whole, check_widths
from helpers.book import surroundings
from helpers.checks import IMAGE_SHAPE

PIXELS = 28 * 28
NEGATIVE_SLOPE = 0.2  # of the leaky ReLU; Radford et al. 2016


def build_classifier(feature_size: int = 64) -> keras.Model:
    """Return a digit classifier, (batch, 28, 28, 1) -> (batch, 10) logits, with a layer named "features"."""
    check_whole(1, MOST_UNITS, feature_size=feature_size)
    surroundings.check_keras("backend", "image_data_format")
    return keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE),
            layers.Conv2D(24, 5, strides=2, padding="same", activation="relu"),  # (batch, 14, 14, 24)
            layers.Conv2D(48, 3, strides=2, padding="same", activation="relu"),  # (batch, 7, 7, 48)
            layers.Flatten(),
            layers.Dense(feature_size, activation="tanh", name="features"),  # bounded: no image is far from all others
            layers.Dense(10),
        ],
        name="classifier",
    )


def build_feature_extractor(classifier: keras.Model) -> keras.Model:
    """Return the part of a classifier that ends at its features: (batch, 28, 28, 1) -> (batch, feature_size)."""
    check_kind(keras.Model, "a network of networks.build_classifier", classifier=classifier)
    return keras.Model(classifier.inputs[0], classifier.get_layer("features").output, name="feature_extractor")


def build_dense_generator(
    latent_size: int, widths: Sequence[int] = (256, 256), batch_norm: bool = False
) -> keras.Model:
    """Return a dense generator, (batch, latent_size) -> (batch, 28, 28, 1) in [0, 1].

    It draws logits at half the size; enlarged before the sigmoid they give smooth strokes with sharp edges, where
    pixels drawn one by one leave speckles. batch_norm: normalise each hidden layer over the batch.
    """
    check_whole(1, MOST_UNITS, latent_size=latent_size)
    check_widths(widths)
    check_flags(batch_norm=batch_norm)
    surroundings.check_keras("backend", "image_data_format")
    network = keras.Sequential([keras.Input((latent_size,))], name="generator")
    for width in widths:
        network.add(layers.Dense(width, use_bias=not batch_norm))  # batch normalisation brings its own shift
        if batch_norm:
            network.add(layers.BatchNormalization())
        network.add(layers.LeakyReLU(NEGATIVE_SLOPE))
    network.add(layers.Dense(14 * 14))
    network.add(layers.Reshape((14, 14, 1)))
    network.add(layers.UpSampling2D(2, interpolation="bilinear"))  # (batch, 28, 28, 1)
    network.add(layers.Activation("sigmoid"))
    return network


def build_dense_discriminator(widths: Sequence[int] = (256, 256)) -> keras.Model:
    """Return a dense discriminator, (batch, 28, 28, 1) -> (batch, 1) logits."""
    check_widths(widths)
    network = keras.Sequential([keras.Input(IMAGE_SHAPE), layers.Flatten()], name="discriminator")
    for width in widths:
        network.add(layers.Dense(width))
        network.add(layers.LeakyReLU(NEGATIVE_SLOPE))
    network.add(layers.Dense(1))
    return network


def build_convolutional_generator(latent_size: int, channels: int = 32) -> keras.Model:
    """Return a convolutional generator, (batch, latent_size) -> (batch, 28, 28, 1) in [0, 1].

    It ends as the dense one does: logits at half the size, enlarged before the sigmoid.
    """
    check_whole(1, MOST_UNITS, latent_size=latent_size)
    check_whole(1, MOST_CHANNELS, channels=channels)
    surroundings.check_keras("backend", "image_data_format")
    return keras.Sequential(
        [
            keras.Input((latent_size,)),
            layers.Dense(256),
            layers.LeakyReLU(NEGATIVE_SLOPE),
            layers.Dense(7 * 7 * 2 * channels),
            layers.LeakyReLU(NEGATIVE_SLOPE),
            layers.Reshape((7, 7, 2 * channels)),
            layers.Conv2DTranspose(channels, 4, strides=2, padding="same"),  # (batch, 14, 14, channels)
            layers.LeakyReLU(NEGATIVE_SLOPE),
            layers.Conv2D(1, 3, padding="same"),  # (batch, 14, 14, 1)
            layers.UpSampling2D(2, interpolation="bilinear"),  # (batch, 28, 28, 1)
            layers.Activation("sigmoid"),
        ],
        name="generator",
    )


def build_convolutional_discriminator(channels: int = 32) -> keras.Model:
    """Return a convolutional discriminator, (batch, 28, 28, 1) -> (batch, 1) logits."""
    check_whole(1, MOST_CHANNELS, channels=channels)
    surroundings.check_keras("backend", "image_data_format")
    return keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE),
            # No bias: TensorFlow 2.20 tries to fuse it with LeakyReLU, fails, and says so in every notebook.
            layers.Conv2D(channels, 4, strides=2, padding="same", use_bias=False),  # (batch, 14, 14, channels)
            layers.LeakyReLU(NEGATIVE_SLOPE),
            layers.Conv2D(2 * channels, 4, strides=2, padding="same", use_bias=False),  # (batch, 7, 7, 2 * channels)
            layers.LeakyReLU(NEGATIVE_SLOPE),
            layers.Flatten(),
            layers.Dense(128),
            layers.LeakyReLU(NEGATIVE_SLOPE),
            layers.Dense(1),
        ],
        name="discriminator",
    )


def build_dense_encoder(latent_size: int, widths: Sequence[int] = (400, 200)) -> keras.Model:
    """Return a dense encoder, (batch, 28, 28, 1) -> mean and log-variance of q(z | x), (batch, latent_size) each."""
    check_whole(1, MOST_UNITS, latent_size=latent_size)
    check_widths(widths)
    images = keras.Input(IMAGE_SHAPE)
    hidden = layers.Flatten()(images)  # (batch, 784)
    for width in widths:
        hidden = layers.Dense(width, activation="relu")(hidden)
    mean = layers.Dense(latent_size, name="mean")(hidden)
    log_variance = layers.Dense(latent_size, name="log_variance")(hidden)
    return keras.Model(images, (mean, log_variance), name="encoder")


def build_dense_decoder(latent_size: int, widths: Sequence[int] = (200, 400)) -> keras.Model:
    """Return a dense decoder, (batch, latent_size) -> (batch, 28, 28, 1) logits of Bernoulli pixels."""
    check_whole(1, MOST_UNITS, latent_size=latent_size)
    check_widths(widths)
    network = keras.Sequential([keras.Input((latent_size,))], name="decoder")
    for width in widths:
        network.add(layers.Dense(width, activation="relu"))
    network.add(layers.Dense(PIXELS))
    network.add(layers.Reshape(IMAGE_SHAPE))
    return network


def build_dense_flow(told: int = 12, width: int = 384, blocks: int = 2) -> keras.Model:
    """Return a dense network for flow.FlowMatching, (batch, 784 + told) -> (batch, 784) in [-1, 1].

    told: numbers that tell it the time, and a label if there is one. Each block adds to what there is; at first it adds
    nothing (He et al. 2016, Goyal et al. 2017). The network ends as the dense generator does: logits at half the size,
    enlarged before the bound.
    """
    check_whole(0, MOST_UNITS, told=told)
    check_whole(0, MOST_BLOCKS, blocks=blocks)
    check_whole(1, MOST_UNITS, width=width)
    surroundings.check_keras("backend", "image_data_format")
    inputs = keras.Input((PIXELS + told,))
    hidden = layers.Dense(width)(inputs)  # (batch, width)
    for _ in range(blocks):
        change = layers.Activation("silu")(hidden)
        change = layers.Dense(width, activation="silu")(change)
        hidden = hidden + layers.Dense(width, kernel_initializer="zeros")(change)
    logits = layers.Dense(14 * 14)(layers.Activation("silu")(hidden))
    logits = layers.UpSampling2D(2, interpolation="bilinear")(layers.Reshape((14, 14, 1))(logits))
    return keras.Model(inputs, layers.Flatten()(layers.Activation("tanh")(logits)), name="flow")


def give_each_class_a_logit(discriminator: keras.Model, classes: int = 10) -> keras.Model:
    """Return a discriminator with its last layer, of one logit, replaced by a new one with a logit for each class."""
    check_kind(keras.Model, "a network such as build_dense_discriminator()", discriminator=discriminator)
    check_whole(1, MOST_UNITS, classes=classes)
    logits = layers.Dense(classes)(discriminator.layers[-2].output)  # (batch, classes)
    return keras.Model(discriminator.inputs[0], logits, name=discriminator.name)
