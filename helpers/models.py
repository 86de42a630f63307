"""The GAN and the VAE: keras.Model with a train_step of their own, so that fit() brings callbacks and history."""

import keras
import numpy as np
import tensorflow as tf

from helpers import losses
from helpers.checks import check_images, check_latent

HELD_OUT_STEP = -1  # the VAE's validation noise: no training step has this number
EVALUATION_STREAM = 1


class GAN(keras.Model):
    """A generator and a discriminator that train against each other under fit().

    In each step the discriminator moves first; the generator's gradient then comes from the discriminator as just
    updated, on the same fake images. Each update moves its own half only. Latent noise depends on (seed, step) alone.
    penalty_weight is that of the gradient penalty on real images; 0 leaves it out.
    Source: Goodfellow et al. 2014, algorithm 1 with one discriminator step; Mescheder et al. 2018 for the penalty.
    """

    def __init__(self, generator, discriminator, seed=0, penalty_weight=0.0):
        super().__init__(name="gan")
        self.generator, self.discriminator = generator, discriminator
        self.seed, self.penalty_weight = seed, penalty_weight
        self.latent_size = generator.input_shape[-1]
        self.trackers = {name: keras.metrics.Mean(name) for name in ("d_loss", "g_loss", "d_real", "d_fake")}

    def compile(self, generator_optimizer, discriminator_optimizer, **options):
        """Set the two optimisers; options go to keras.Model.compile."""
        super().compile(**options)
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)

    def train_step(self, real):
        """Update both halves once on real images, (batch, 28, 28, 1); return the running means."""
        step = tf.cast(self.discriminator_optimizer.iterations, tf.int32)
        latent = tf.random.stateless_normal((tf.shape(real)[0], self.latent_size), (self.seed, step))
        with tf.GradientTape() as tape:
            fake = self.generator(latent, training=True)  # (batch, 28, 28, 1)
            with tape.stop_recording():
                d_loss, real_logits, fake_logits = self._update_discriminator(real, fake)
            g_loss = losses.generator_loss(self.discriminator(fake, training=True))
        variables = self.generator.trainable_variables
        self.generator_optimizer.apply(tape.gradient(g_loss, variables), variables)
        return _track(self.trackers, (d_loss, g_loss, tf.sigmoid(real_logits), tf.sigmoid(fake_logits)))

    def _update_discriminator(self, real, fake):
        """Update the discriminator alone; return its loss without the penalty and its logits before the update."""
        with tf.GradientTape() as tape:
            with tf.GradientTape() as input_tape:
                input_tape.watch(real)
                real_logits = self.discriminator(real, training=True)  # (batch, 1)
            fake_logits = self.discriminator(fake, training=True)  # (batch, 1)
            d_loss = losses.discriminator_loss(real_logits, fake_logits)
            total = d_loss
            if self.penalty_weight:
                slopes = input_tape.gradient(real_logits, real)  # (batch, 28, 28, 1)
                total += self.penalty_weight * losses.gradient_penalty(slopes)
        variables = self.discriminator.trainable_variables
        self.discriminator_optimizer.apply(tape.gradient(total, variables), variables)
        return d_loss, real_logits, fake_logits

    def generate(self, latent):
        """Return the images, (count, 28, 28, 1) in [0, 1], of latent vectors, (count, latent_size)."""
        return self.generator(check_latent(latent, self.latent_size), training=False).numpy()

    def sample(self, count, seed):
        """Return images, (count, 28, 28, 1), of latent vectors drawn from N(0, I) with this seed."""
        return self.generate(draw_latent(count, self.latent_size, seed))

    @property
    def metrics(self):
        """The trackers that fit() resets before each epoch."""
        return list(self.trackers.values())


class VAE(keras.Model):
    """An encoder and a decoder trained together under fit() on the negative ELBO, in nats an image.

    Latent noise depends on (seed, step) alone, and validation has one fixed draw of it.
    Source: Kingma and Welling 2014; kl_weight other than 1: Higgins et al. 2017.
    """

    def __init__(self, encoder, decoder, seed=0, kl_weight=1.0):
        super().__init__(name="vae")
        self.encoder, self.decoder = encoder, decoder
        self.seed, self.kl_weight = seed, kl_weight
        self.latent_size = decoder.input_shape[-1]
        self.trackers = {name: keras.metrics.Mean(name) for name in ("loss", "reconstruction", "kl")}

    def compute_terms(self, images, step, training):
        """Return (loss, reconstruction, kl) in nats: sums over pixels and latents, means over the batch, scalars.

        images: (batch, 28, 28, 1). loss = reconstruction + kl_weight * kl, the negative ELBO where kl_weight is 1.
        """
        mean, log_variance = self.encoder(images, training=training)  # (batch, latent_size) each
        noise = tf.random.stateless_normal(tf.shape(mean), (self.seed, step))
        logits = self.decoder(losses.reparameterise(mean, log_variance, noise), training=training)
        reconstruction = -tf.reduce_mean(losses.bernoulli_log_likelihood(images, logits))
        kl = tf.reduce_mean(losses.kl_to_standard_normal(mean, log_variance))
        return reconstruction + self.kl_weight * kl, reconstruction, kl

    def train_step(self, images):
        """Update both networks once on images, (batch, 28, 28, 1); return the running means."""
        with tf.GradientTape() as tape:
            terms = self.compute_terms(images, tf.cast(self.optimizer.iterations, tf.int32), training=True)
        self.optimizer.apply(tape.gradient(terms[0], self.trainable_variables), self.trainable_variables)
        return _track(self.trackers, terms)

    def test_step(self, images):
        """Return the same terms on held-out images, (batch, 28, 28, 1), as running means."""
        return _track(self.trackers, self.compute_terms(images, HELD_OUT_STEP, training=False))

    def encode(self, images):
        """Return mean and log-variance of q(z | x), (count, latent_size) each, of images, (count, 28, 28, 1)."""
        return tuple(part.numpy() for part in self.encoder(check_images(images), training=False))

    def decode(self, latent):
        """Return the pixel probabilities, (count, 28, 28, 1), of latent vectors, (count, latent_size)."""
        return tf.sigmoid(self.decoder(check_latent(latent, self.latent_size), training=False)).numpy()

    def reconstruct(self, images):
        """Return images, (count, 28, 28, 1), encoded to their mean and decoded again."""
        return self.decode(self.encode(images)[0])

    def sample(self, count, seed):
        """Return the pixel probabilities, (count, 28, 28, 1), of latent vectors drawn from N(0, I) with this seed."""
        return self.decode(draw_latent(count, self.latent_size, seed))

    def log_weights(self, images, samples, seed, batch_size=100, draws_at_once=100):
        """Return log p(x | z) + log p(z) - log q(z | x) for z drawn from q(z | x), in nats, (samples, count).

        images: binary, (count, 28, 28, 1). Works on batch_size images and draws_at_once samples at a time, so that the
        networks' memory grows with neither. Raises ImageError for grey pixels. Source: Burda et al. 2016, equation 7.
        """
        images = check_images(images, binary=True)
        weights = np.empty((samples, len(images)), np.float32)
        for start in range(0, len(images), batch_size):
            batch = tf.constant(images[start : start + batch_size])
            for first in range(0, samples, draws_at_once):
                draws = min(draws_at_once, samples - first)
                place = tf.constant((seed, start * samples + first))  # another for each block of weights
                block = self._draw_log_weights(batch, tf.constant(draws), place)
                weights[first : first + draws, start : start + batch_size] = block
        return weights

    @tf.function(reduce_retracing=True)
    def _draw_log_weights(self, images, draws, seed):
        """Return log weights, (draws, batch), of binary images, (batch, 28, 28, 1)."""
        mean, log_variance = self.encoder(images, training=False)
        stream = tf.random.fold_in(seed, EVALUATION_STREAM)  # not the noise of a training step of that number
        noise = tf.random.stateless_normal((draws, tf.shape(mean)[0], self.latent_size), stream)
        latent = losses.reparameterise(mean, log_variance, noise)  # (draws, batch, latent_size)
        logits = self.decoder(tf.reshape(latent, (-1, self.latent_size)), training=False)
        log_likelihood = losses.bernoulli_log_likelihood(tf.tile(images, (draws, 1, 1, 1)), logits)
        log_prior = losses.normal_log_density(latent, tf.zeros_like(mean), tf.zeros_like(mean))
        log_posterior = losses.normal_log_density(latent, mean, log_variance)
        return tf.reshape(log_likelihood, (draws, -1)) + log_prior - log_posterior

    @property
    def metrics(self):
        """The trackers that fit() resets before each epoch."""
        return list(self.trackers.values())


def draw_latent(count, latent_size, seed):
    """Return standard normal latent vectors, float32 (count, latent_size), the same for the same seed."""
    return np.random.default_rng(seed).standard_normal((count, latent_size), dtype=np.float32)


def _track(trackers, values):
    """Add a step's values to the running means; return the means by name."""
    for tracker, value in zip(trackers.values(), values, strict=True):
        tracker.update_state(value)
    return {name: tracker.result() for name, tracker in trackers.items()}
