"""A GAN that draws the digit it is asked for: both halves are told the label."""

import keras
import numpy as np
import tensorflow as tf

from helpers import checks, data, losses, models


class LabelError(ValueError):
    """Labels are not one whole number, from 0 to below the number of classes, for each latent vector."""


class ConditionalGAN(models.GAN):
    """A GAN whose generator gets a label beside its noise, and whose discriminator judges an image under a label.

    generator: (batch, latent_size + classes) -> (batch, 28, 28, 1); the label joins the noise as a one-hot vector.
    discriminator: (batch, 28, 28, 1) -> (batch, classes), a logit for each class, of which the label picks one.
    In all else a models.GAN. Source: Mirza and Osindero 2014; Mescheder et al. 2018 for a logit for each class.
    """

    def __init__(self, generator, discriminator, seed=0, penalty_weight=0.0):
        super().__init__(generator, discriminator, seed, penalty_weight)
        self.classes = discriminator.output_shape[-1]
        self.latent_size -= self.classes

    def train_step(self, batch):
        """Update both halves once on real images, (batch, 28, 28, 1), and labels, (batch,); return the running means.

        The fake images are asked for under the same labels. All else is the step of models.GAN.
        """
        real, labels = batch
        step = tf.cast(self.discriminator_optimizer.iterations, tf.int32)
        latent = tf.random.stateless_normal((tf.shape(real)[0], self.latent_size), (self.seed, step))
        with tf.GradientTape() as tape:
            fake = self.generator(self.join(latent, labels), training=True)  # (batch, 28, 28, 1)
            with tape.stop_recording():
                d_loss, real_logits, fake_logits = self._update_discriminator(real, fake, labels)
            g_loss = losses.generator_loss(self.judge(fake, labels))
        self.generator_optimizer.apply(tape.gradient(g_loss, self.generator.trainable_variables))
        values = (d_loss, g_loss, tf.sigmoid(real_logits), tf.sigmoid(fake_logits))
        for tracker, value in zip(self.metrics, values, strict=True):
            tracker.update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def _update_discriminator(self, real, fake, labels):
        """Update the discriminator alone; return its loss without the penalty and its logits before the update."""
        with tf.GradientTape() as tape:
            with tf.GradientTape() as input_tape:
                input_tape.watch(real)
                real_logits = self.judge(real, labels)  # (batch, 1)
            fake_logits = self.judge(fake, labels)  # (batch, 1)
            d_loss = losses.discriminator_loss(real_logits, fake_logits)
            slopes = input_tape.gradient(real_logits, real)  # (batch, 28, 28, 1)
            total = d_loss + self.penalty_weight * losses.gradient_penalty(slopes)
        self.discriminator_optimizer.apply(tape.gradient(total, self.discriminator.trainable_variables))
        return d_loss, real_logits, fake_logits

    def join(self, latent, labels):
        """Return the generator's input, (batch, latent_size + classes), of latent vectors and labels, (batch,)."""
        return tf.concat([latent, tf.one_hot(labels, self.classes)], axis=1)

    def judge(self, images, labels):
        """Return the discriminator's logits, (batch, 1), of images, (batch, 28, 28, 1), under labels, (batch,)."""
        return tf.gather(self.discriminator(images, training=True), labels[:, None], batch_dims=1)

    def generate(self, latent, labels=None):
        """Return images, (count, 28, 28, 1) in [0, 1], of latent vectors, (count, latent_size), under labels, (count,).

        Without labels the digits take turns. Raises LatentError, LabelError.
        """
        latent = checks.check_latent(latent, self.latent_size)
        labels = np.arange(len(latent)) % self.classes if labels is None else np.asarray(labels)
        if labels.shape != (len(latent),) or not np.isin(labels, range(self.classes)).all():
            raise LabelError(f"labels are {labels}, expected {len(latent)} whole numbers from 0 to {self.classes - 1}.")
        return self.generator(self.join(latent, labels.astype(np.int64)), training=False).numpy()


def give_each_class_a_logit(discriminator, classes=10):
    """Return a discriminator with its last layer, of one logit, replaced by a new one with a logit for each class."""
    return keras.Model(discriminator.inputs[0], keras.layers.Dense(classes)(discriminator.layers[-2].output))


def make_labelled_batches(split, batch_size, seed, held_out):
    """Return data.make_batches of a data.Split with the labels: pairs (batch_size, 28, 28, 1), (batch_size,).

    Raises ImageError and LeakError as data.make_batches does.
    """
    images, labels = data.make_batches(split.images, batch_size, seed, held_out), tf.constant(split.labels)
    per_pass, last, seed = len(labels) // batch_size, np.int64(len(labels) - 1), np.int64(seed)

    def take_labels(step):  # in the order of the images
        positions = step % per_pass * batch_size + tf.range(batch_size, dtype=tf.int64)
        return tf.gather(labels, tf.random.experimental.index_shuffle(positions, (seed, step // per_pass), last))

    return tf.data.Dataset.zip(images, tf.data.Dataset.counter().map(take_labels).prefetch(2))
