"""The GAN and the VAE: keras.Model with a train_step of their own, so that fit() brings callbacks and history."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers import losses
from helpers.arguments import check_kind, check_positive, check_room, check_seed, check_whole
from helpers.checks import check_batch, check_images, check_labels, check_latent
from helpers.seeded import HELD_OUT_STEP, PairedOptimizers, SeededModel

EVALUATION_STREAM = 1
PIXELS = 28 * 28
Network = Callable[..., tf.Tensor]  # of a batch, and of training=True or False


@keras.saving.register_keras_serializable(package="book")
class GAN(SeededModel):
    """A generator and a discriminator that train against each other under fit().

    In each step the discriminator moves first; the generator's gradient then comes from the discriminator as just
    updated, on the same fake images. Each update moves its own network only. Latent noise depends on (seed, step).
    penalty_weight is that of the gradient penalty on real images, R1; 0 leaves it out. An optimiser made with
    use_ema=True keeps a running average of the weights, which takes their place when fit() ends.
    Reported beside the two losses: d_real and d_fake, the mean answers; loss, the sum of both losses, which is finite
    while they are and says no more. predict() takes latent vectors; evaluate() takes real images held out.
    Source: Goodfellow et al. 2014, algorithm 1 with one discriminator step; Mescheder et al. 2018 for the penalty.
    """

    seen_by = "discriminator"

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        seed: int = 0,
        penalty_weight: float = 0.0,
    ) -> None:
        check_positive(zero=True, penalty_weight=penalty_weight)
        _check_networks(generator=generator, discriminator=discriminator)
        networks = {"generator": generator, "discriminator": discriminator}
        super().__init__(networks, ("d_loss", "g_loss", "d_real", "d_fake", "loss"), seed)
        self.penalty_weight, self.latent_size = penalty_weight, generator.input_shape[-1]

    def tell_labels(self, labels: tf.Tensor | None) -> tuple[Network, Network]:
        """Return generator and discriminator as functions of latent vectors and of images: the hook for what varies.

        Each also takes training=. Here they are the networks; a subclass tells them the labels of a batch, (batch,).
        """
        return self.generator, self.discriminator

    def call(self, latent: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the images, (batch, 28, 28, 1), of latent vectors, (batch, latent_size)."""
        return self.generator(latent, training=training)

    def compile(
        self, generator_optimizer: keras.Optimizer, discriminator_optimizer: keras.Optimizer, **options: Any
    ) -> None:
        """Set the two optimisers; options go to keras.Model.compile."""
        check_kind(keras.Optimizer, "an optimiser", generator_optimizer=generator_optimizer)
        check_kind(keras.Optimizer, "an optimiser", discriminator_optimizer=discriminator_optimizer)
        super().compile(PairedOptimizers(generator_optimizer, discriminator_optimizer), **options)
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        generator_optimizer.build(self.generator.trainable_variables)
        discriminator_optimizer.build(self.discriminator.trainable_variables)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Update both networks once on real images, (batch, 28, 28, 1); return the running means."""
        real, labels = self.read_batch(data)
        generate, judge = self.tell_labels(labels)
        step = tf.cast(self.discriminator_optimizer.iterations, tf.int32)
        latent = self.draw_noise((tf.shape(real)[0], self.latent_size), step)
        with tf.GradientTape() as tape:
            fake = generate(latent, training=True)  # (batch, 28, 28, 1)
            with tape.stop_recording():
                d_loss, real_logits, fake_logits = self._update_discriminator(real, fake, judge)
            g_loss = losses.generator_loss(judge(fake, training=True))
        variables = self.generator.trainable_variables
        gradients = tape.gradient(g_loss, variables, output_gradients=self.find_share(real))
        self.generator_optimizer.apply(gradients, variables)
        return self._report_losses(real, d_loss, g_loss, real_logits, fake_logits)

    def _update_discriminator(self, real: tf.Tensor, fake: tf.Tensor, judge: Network) -> tuple:
        """Update the discriminator alone; return its loss without the penalty and its logits before the update."""
        with tf.GradientTape() as tape:
            with tf.GradientTape() as input_tape:
                input_tape.watch(real)
                real_logits = judge(real, training=True)  # (batch, 1)
            fake_logits = judge(fake, training=True)  # (batch, 1)
            d_loss = losses.discriminator_loss(real_logits, fake_logits)
            total = d_loss
            if self.penalty_weight:
                slopes = input_tape.gradient(real_logits, real)  # (batch, 28, 28, 1)
                total += self.penalty_weight * losses.gradient_penalty(slopes)
        variables = self.discriminator.trainable_variables
        gradients = tape.gradient(total, variables, output_gradients=self.find_share(real))
        self.discriminator_optimizer.apply(gradients, variables)
        return d_loss, real_logits, fake_logits

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Return the same values on held-out images, (batch, 28, 28, 1), with one fixed draw of noise."""
        real, labels = self.read_batch(data)
        generate, judge = self.tell_labels(labels)
        fake = generate(self.draw_noise((tf.shape(real)[0], self.latent_size), HELD_OUT_STEP), training=False)
        real_logits, fake_logits = judge(real, training=False), judge(fake, training=False)
        d_loss, g_loss = losses.discriminator_loss(real_logits, fake_logits), losses.generator_loss(fake_logits)
        return self._report_losses(real, d_loss, g_loss, real_logits, fake_logits)

    def generate(self, latent: np.ndarray) -> np.ndarray:
        """Return the images, (count, 28, 28, 1) in [0, 1], of latent vectors, (count, latent_size).

        Raises LatentError.
        """
        return self.generator(check_latent(latent, self.latent_size), training=False).numpy()

    def sample(self, count: int, seed: int) -> np.ndarray:
        """Return images, (count, 28, 28, 1), of latent vectors drawn from N(0, I) with this seed."""
        check_whole(count=count)
        check_room(count, PIXELS)
        return self.generate(draw_latent(count, self.latent_size, seed))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "penalty_weight": float(self.penalty_weight),
        }

    def get_compile_config(self) -> dict[str, Any]:
        """Return both optimisers serialised, so that load_model goes on training where save() stopped."""
        names = ("generator_optimizer", "discriminator_optimizer", "steps_per_execution")
        return keras.saving.serialize_keras_object({name: getattr(self, name) for name in names})

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile with the optimisers of get_compile_config."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    @property
    def optimizers(self) -> tuple:
        return self.optimizer.pair

    def _report_losses(
        self, real: tf.Tensor, d_loss: tf.Tensor, g_loss: tf.Tensor, real_logits: tf.Tensor, fake_logits: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        answers = (tf.reduce_mean(tf.sigmoid(logits)) for logits in (real_logits, fake_logits))
        return self.report(real, d_loss, g_loss, *answers, d_loss + g_loss)


@keras.saving.register_keras_serializable(package="book")
class ConditionalGAN(GAN):
    """A GAN whose generator gets a label beside its noise, and whose discriminator judges an image under a label.

    generator: (batch, latent_size + classes) -> (batch, 28, 28, 1); the label joins the noise as a one-hot vector.
    discriminator: (batch, 28, 28, 1) -> (batch, classes), a logit for each class, of which the label picks one; see
    networks.give_each_class_a_logit. Trains on pairs of images and labels, (batch,); fake images are asked for under
    the same labels. predict() takes [latent vectors, labels]. In all else a GAN.
    Source: Mirza and Osindero 2014; Mescheder et al. 2018 for a logit for each class.
    """

    def __init__(self, generator: keras.Model, discriminator: keras.Model, *args: Any, **options: Any) -> None:
        super().__init__(generator, discriminator, *args, **options)
        self.classes = discriminator.output_shape[-1]
        self.latent_size -= self.classes
        check_whole(latent_size=self.latent_size)

    def tell_labels(self, labels: tf.Tensor) -> tuple[Network, Network]:
        labels = tf.cast(labels, tf.int32)

        def generate(latent: tf.Tensor, training: bool) -> tf.Tensor:  # (batch, latent_size) -> (batch, 28, 28, 1)
            return self.generator(tf.concat([latent, tf.one_hot(labels, self.classes)], axis=1), training=training)

        def judge(images: tf.Tensor, training: bool) -> tf.Tensor:  # (batch, 28, 28, 1) -> (batch, 1)
            return tf.gather(self.discriminator(images, training=training), labels[:, None], batch_dims=1)

        return generate, judge

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Return the images, (batch, 28, 28, 1), of latent vectors, (batch, latent_size), under labels, (batch,)."""
        latent, labels = inputs
        return self.tell_labels(labels)[0](latent, training=training)

    def generate(self, latent: np.ndarray, labels: Any = None) -> np.ndarray:
        """Return images, (count, 28, 28, 1) in [0, 1], of latent vectors, (count, latent_size), under labels, (count,).

        Without labels the digits take turns. Raises LatentError, LabelError.
        """
        latent = check_latent(latent, self.latent_size)
        labels = np.arange(len(latent)) % self.classes if labels is None else labels
        return self((latent, check_labels(labels, len(latent), self.classes))).numpy()


@keras.saving.register_keras_serializable(package="book")
class VAE(SeededModel):
    """An encoder and a decoder trained together under fit() on the negative ELBO, in nats an image.

    Latent noise depends on (seed, step) alone, and validation has one fixed draw of it. predict() reconstructs images.
    Source: Kingma and Welling 2014; kl_weight other than 1: Higgins et al. 2017.
    """

    seen_by = "encoder"

    def __init__(self, encoder: keras.Model, decoder: keras.Model, seed: int = 0, kl_weight: float = 1.0) -> None:
        check_positive(zero=True, kl_weight=kl_weight)
        _check_networks(encoder=encoder, decoder=decoder)
        super().__init__({"encoder": encoder, "decoder": decoder}, ("loss", "reconstruction", "kl"), seed)
        self.kl_weight, self.latent_size = kl_weight, decoder.input_shape[-1]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return images, (batch, 28, 28, 1), encoded to their mean and decoded to pixel probabilities."""
        mean, _ = self.encoder(images, training=training)
        return tf.sigmoid(self.decoder(mean, training=training))

    def compute_terms(self, images: tf.Tensor, step: tf.Tensor | int, training: bool) -> tuple:
        """Return (loss, reconstruction, kl) in nats: sums over pixels and latents, means over the batch, scalars.

        images: (batch, 28, 28, 1). loss = reconstruction + kl_weight * kl, the negative ELBO where kl_weight is 1.
        """
        check_batch(images, None, self.encoder.input_shape[1:], 0)
        mean, log_variance = self.encoder(images, training=training)  # (batch, latent_size) each
        noise = self.draw_noise(tf.shape(mean), step)
        logits = self.decoder(losses.reparameterise(mean, log_variance, noise), training=training)
        reconstruction = -tf.reduce_mean(losses.bernoulli_log_likelihood(images, logits))
        kl = tf.reduce_mean(losses.kl_to_standard_normal(mean, log_variance))
        return reconstruction + self.kl_weight * kl, reconstruction, kl

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Update both networks once on images, (batch, 28, 28, 1); return the running means."""
        images, _ = self.read_batch(data)
        with tf.GradientTape() as tape:
            terms = self.compute_terms(images, tf.cast(self.optimizer.iterations, tf.int32), training=True)
        variables = self.trainable_variables
        gradients = tape.gradient(terms[0], variables, output_gradients=self.find_share(images))
        self.optimizer.apply(gradients, variables)
        return self.report(images, *terms)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Return the same terms on held-out images, (batch, 28, 28, 1), as running means."""
        images, _ = self.read_batch(data)
        return self.report(images, *self.compute_terms(images, HELD_OUT_STEP, training=False))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"kl_weight": float(self.kl_weight)}

    @property
    def optimizers(self) -> tuple:
        return (self.optimizer,)

    def encode(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and log-variance of q(z | x), (count, latent_size) each, of images, (count, 28, 28, 1).

        Raises ImageError.
        """
        mean, log_variance = self.encoder(check_images(images), training=False)
        return mean.numpy(), log_variance.numpy()

    def decode(self, latent: np.ndarray) -> np.ndarray:
        """Return the pixel probabilities, (count, 28, 28, 1), of latent vectors, (count, latent_size).

        Raises LatentError.
        """
        return tf.sigmoid(self.decoder(check_latent(latent, self.latent_size), training=False)).numpy()

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Return images, (count, 28, 28, 1), encoded to their mean and decoded again."""
        return self.decode(self.encode(images)[0])

    def sample(self, count: int, seed: int) -> np.ndarray:
        """Return the pixel probabilities, (count, 28, 28, 1), of latent vectors drawn from N(0, I) with this seed."""
        check_whole(count=count)
        check_room(count, PIXELS)
        return self.decode(draw_latent(count, self.latent_size, seed))

    def log_weights(
        self, images: np.ndarray, samples: int, seed: int, batch_size: int = 100, draws_at_once: int = 100
    ) -> np.ndarray:
        """Return log p(x | z) + log p(z) - log q(z | x) for z drawn from q(z | x), in nats, (samples, count).

        images: binary, (count, 28, 28, 1). Works on batch_size images and draws_at_once samples at a time, so that the
        networks' memory grows with neither. Raises ImageError for grey pixels, ArgumentError for counts below 1.
        Source: Burda et al. 2016, equation 7.
        """
        check_whole(samples=samples, batch_size=batch_size, draws_at_once=draws_at_once)
        check_whole(0, 2**31 - 1, seed=seed)
        images = check_images(images, binary=True)
        check_room(samples, len(images))
        check_room(min(samples, draws_at_once), min(batch_size, len(images)), PIXELS)
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
    def _draw_log_weights(self, images: tf.Tensor, draws: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
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


def draw_latent(count: int, latent_size: int, seed: int) -> np.ndarray:
    """Return standard normal latent vectors, float32 (count, latent_size), the same for the same seed.

    Raises ArgumentError for sizes that are not 1 or more, and for a seed below 0.
    """
    check_whole(count=count, latent_size=latent_size)
    check_room(count, latent_size)
    check_seed(seed)
    return np.random.default_rng(seed).standard_normal((count, latent_size), dtype=np.float32)


def _check_networks(**networks: keras.Model) -> None:
    check_kind(keras.Model, "a network, such as networks.build_dense_generator(16)", **networks)
