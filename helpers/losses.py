"""The losses of the GAN and VAE chapters: pure functions, one for each equation, in nats.

Each takes tensors of one type of floats, or arrays, and raises ArgumentError for other types, shapes and empty ones.
"""

import math

import tensorflow as tf

from helpers.arguments import check_alike, check_floats, check_spread


def kl_to_standard_normal(mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """Return KL(N(mean, exp(log_variance)) || N(0, I)) in nats, one value for each example.

    mean, log_variance: (batch, latent). Returns (batch,), summed over the latent dimensions.
    Source: Kingma and Welling 2014, appendix B.
    """
    check_floats(empty=True, mean=mean, log_variance=log_variance)
    check_alike(mean=mean, log_variance=log_variance)
    return 0.5 * tf.reduce_sum(tf.exp(log_variance) + tf.square(mean) - 1.0 - log_variance, axis=-1)


def bernoulli_log_likelihood(images: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return log p(images | logits) for independent Bernoulli pixels, in nats, one value for each example.

    images, logits: (batch, height, width, 1); images in [0, 1]. Returns (batch,), summed over the pixels.
    For grey pixels it is a negative cross-entropy, not a log-likelihood: see Loaiza-Ganem and Cunningham 2019. Outside
    [0, 1] it is neither, and above 0: a loss looks at shapes and types, the models' fit() at what pixels hold.
    """
    check_floats(rank=4, empty=True, images=images, logits=logits)
    check_alike(images=images, logits=logits)
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)
    return -tf.reduce_sum(cross_entropy, axis=[1, 2, 3])


def normal_log_density(values: tf.Tensor, mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:
    """Return log N(values; mean, exp(log_variance) I) in nats, summed over the last axis.

    values, mean, log_variance: (..., latent), broadcast against each other. Returns (...).
    """
    check_floats(empty=True, values=values, mean=mean, log_variance=log_variance)
    check_spread(values=values, mean=mean, log_variance=log_variance)
    squared_error = tf.square(values - mean) * tf.exp(-log_variance)
    return -0.5 * tf.reduce_sum(squared_error + log_variance + math.log(2.0 * math.pi), axis=-1)


def reparameterise(mean: tf.Tensor, log_variance: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Return a draw from N(mean, exp(log_variance)) that is differentiable in both.

    mean, log_variance: (batch, latent); noise: standard normal, (..., batch, latent). Returns noise's shape.
    Source: Kingma and Welling 2014, section 2.4.
    """
    check_floats(empty=True, mean=mean, log_variance=log_variance, noise=noise)
    check_alike(mean=mean, log_variance=log_variance)
    check_spread(mean=mean, noise=noise)
    return mean + tf.exp(0.5 * log_variance) * noise


def discriminator_loss(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Return the discriminator's loss, -log D(x) - log(1 - D(G(z))), in nats, a scalar.

    real_logits, fake_logits: (batch, 1), the discriminator's outputs before the sigmoid. The mean over the batch.
    Source: Goodfellow et al. 2014, equation 1 with its sign turned, because an optimiser minimises.
    """
    check_floats(real_logits=real_logits, fake_logits=fake_logits)
    return tf.reduce_mean(tf.nn.softplus(-real_logits)) + tf.reduce_mean(tf.nn.softplus(fake_logits))


def generator_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """Return the non-saturating generator loss, -log D(G(z)), in nats, a scalar.

    fake_logits: (batch, 1), the discriminator's outputs before the sigmoid. The mean over the batch.
    Source: Goodfellow et al. 2014, end of section 3.
    """
    check_floats(fake_logits=fake_logits)
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def gradient_penalty(gradients: tf.Tensor) -> tf.Tensor:
    """Return R1: half the squared length of the discriminator's gradient on real images, the batch's mean, a scalar.

    gradients: (batch, 28, 28, 1), of the logits with respect to the images.
    Source: Mescheder et al. 2018, equation 9.
    """
    check_floats(rank=4, gradients=gradients)
    return 0.5 * tf.reduce_mean(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]))
