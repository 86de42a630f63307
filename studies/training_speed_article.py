"""The article's way to train, for the study `training_speed`: a Python loop that calls `predict` and `train_on_batch`.

Repaired only as far as it runs and trains, as the chapters on the article's code show it, and with the book's networks,
losses and optimisers in the place of its own, so that what is compared is the loop.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from helpers import losses, models


class ArticleGan:
    """The loop of § 5.2.1: `predict` draws the fakes, and each of three models' steps is a call of `train_on_batch`.

    Repaired only as far as it trains, as the chapter on that code does: one optimiser for each model, digits as the
    real images, the flag `trainable` set anew before each step. The networks are those of the GAN that it is given.
    """

    def __init__(self, gan: models.GAN, optimizers: list[keras.optimizers.Optimizer]) -> None:
        self.generator, self.discriminator = gan.generator, gan.discriminator
        self.combined = keras.Sequential([self.generator, self.discriminator])
        self.trainable_variables = self.combined.trainable_variables  # of both, before one is frozen
        for model, optimizer in zip((self.combined, self.discriminator), optimizers, strict=True):
            model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))

    def step(self, real: np.ndarray, latent: np.ndarray) -> tuple[float, ...]:
        """Train on real images, (batch, 28, 28, 1), and latent vectors, (batch, latent_size).

        Return the losses of D on real and on fake images and of G: running means, as `train_on_batch` gives them.
        """
        ones, zeros = np.ones((len(real), 1), np.float32), np.zeros((len(real), 1), np.float32)
        fake = self.generator.predict(latent, verbose=0)
        self.discriminator.trainable = True
        on_real = self.discriminator.train_on_batch(real, ones)
        on_fake = self.discriminator.train_on_batch(fake, zeros)
        self.discriminator.trainable = False
        return on_real, on_fake, self.combined.train_on_batch(latent, ones)


class ArticleVae:
    """The model of § 5.2.2, put together from layers as the chapter on it does, with `train_on_batch` in a loop.

    The networks are those of the VAE that it is given, and so is the noise of each step.
    """

    def __init__(self, vae: models.VAE, optimizers: list[keras.optimizers.Optimizer]) -> None:
        image = keras.Input(vae.encoder.input_shape[1:])
        self.model = keras.Model(image, vae.decoder(ChargeAndDraw(vae.seed)(*vae.encoder(image))))
        self.model.compile(*optimizers, lambda images, logits: -losses.bernoulli_log_likelihood(images, logits))
        self.trainable_variables = self.model.trainable_variables

    def step(self, images: np.ndarray) -> float:
        """Train on binary images, (batch, 28, 28, 1); return the negative ELBO in nats, as a running mean."""
        return self.model.train_on_batch(images, images)


class ChargeAndDraw(layers.Layer):
    """Charges the KL term as a loss of the layer, and draws a code with noise that is new at each call."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def build(self, *shapes: tuple) -> None:
        self.step = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False)

    def call(self, mean: tf.Tensor, log_variance: tf.Tensor) -> tf.Tensor:  # (batch, latent_size) each, and so is this
        self.add_loss(tf.reduce_mean(losses.kl_to_standard_normal(mean, log_variance)))
        noise = tf.random.stateless_normal(tf.shape(mean), (self.seed, tf.convert_to_tensor(self.step)))
        self.step.assign_add(1)
        return losses.reparameterise(mean, log_variance, noise)
