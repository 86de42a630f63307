"""The VAEs of the study of likelihoods: networks, learned priors, bounds of several samples, and their optimiser."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from helpers import losses, models
from helpers.checks import IMAGE_SHAPE


class BoundVAE(models.VAE):
    """A VAE with a prior of its own, trained on the importance-weighted bound of so many samples an image.

    prior: a layer that returns the log density, (...), of latent vectors, (..., latent_size), and whose method
    `transform` makes draws of standard normal noise. With one sample the bound is the ELBO.
    The encoder's gradient is the doubly reparameterised one, which has the bound's own as its mean, and less noise: the
    signal of the plain one sinks against its noise as samples grow (Rainforth et al. 2018). With one sample it is the
    estimator of Roeder et al. 2017. Decoder and prior follow the bound's own gradient.
    The three terms are the negative bound, and the means over samples of -log p(x | z) and log q(z | x) - log p(z).
    Source: Burda et al. 2016, equation 8, for the bound; Tucker et al. 2019, section 3, for the gradient.
    """

    def __init__(self, encoder, decoder, prior, samples=1, seed=0):
        super().__init__(encoder, decoder, seed=seed)
        self.prior, self.samples = prior, samples

    def draw_posterior(self, images, step, training):
        """Return draws from q(z | x), (samples, batch, latent_size), and its mean and log-variance."""
        mean, log_variance = self.encoder(images, training=training)  # (batch, latent_size) each
        noise = tf.random.stateless_normal((self.samples, tf.shape(mean)[0], self.latent_size), (self.seed, step))
        return losses.reparameterise(mean, log_variance, noise), mean, log_variance

    def split_weights(self, images, latent, mean, log_variance, training):
        """Return log p(x | z) and log q(z | x) - log p(z), (samples, batch) each, of latent draws."""
        draws = tf.shape(latent)[0]
        logits = self.decoder(tf.reshape(latent, (-1, self.latent_size)), training=training)
        log_likelihood = losses.bernoulli_log_likelihood(tf.tile(images, (draws, 1, 1, 1)), logits)
        log_ratio = losses.normal_log_density(latent, mean, log_variance) - self.prior(latent)
        return tf.reshape(log_likelihood, (draws, -1)), log_ratio

    def compute_terms(self, images, step, training):
        """Return (loss, reconstruction, kl) in nats, scalars, of binary images, (batch, 28, 28, 1)."""
        parts = self.split_weights(images, *self.draw_posterior(images, step, training), training)
        return summarise(*parts)

    def train_step(self, data):
        """Update networks and prior once on images, (batch, 28, 28, 1); return the running means."""
        images, _ = self.read_batch(data)
        gradients, terms = self.find_gradients(images, tf.cast(self.optimizer.iterations, tf.int32))
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.report(images, *terms)

    def find_gradients(self, images, step):
        """Return the gradients of the loss, those of each of trainable_variables, and the terms."""
        with tf.GradientTape() as encoding:
            latent, mean, log_variance = self.draw_posterior(images, step, training=True)
        with tf.GradientTape() as bounding:  # has not seen the encoder: mean and log-variance are constants to it
            bounding.watch(latent)
            parts = self.split_weights(images, latent, mean, log_variance, training=True)
            terms = summarise(*parts)
        variables = self.trainable_variables
        latent_gradient, *gradients = bounding.gradient(terms[0], [latent, *variables])
        shares = tf.nn.softmax(parts[0] - parts[1], axis=0)  # of each sample in the bound: (samples, batch)
        through_latent = encoding.gradient(latent, variables, shares[..., None] * latent_gradient)
        pairs = zip(gradients, through_latent, strict=True)  # one of both is None: latent alone leads to the encoder
        return [one if other is None else other for one, other in pairs], terms

    def sample(self, count, seed):
        """Return the pixel probabilities, (count, 28, 28, 1), of latent vectors drawn from the prior."""
        noise = models.draw_latent(count, self.latent_size, seed)
        return self.decode(self.prior.transform(noise).numpy())

    @tf.function(reduce_retracing=True)
    def _draw_log_weights(self, images, draws, seed):
        """Return log weights, (draws, batch), of binary images, (batch, 28, 28, 1), as models.VAE does."""
        mean, log_variance = self.encoder(images, training=False)
        stream = tf.random.fold_in(seed, models.EVALUATION_STREAM)
        noise = tf.random.stateless_normal((draws, tf.shape(mean)[0], self.latent_size), stream)
        latent = losses.reparameterise(mean, log_variance, noise)
        log_likelihood, log_ratio = self.split_weights(images, latent, mean, log_variance, training=False)
        return log_likelihood - log_ratio


def summarise(log_likelihood, log_ratio):
    """Return the negative bound and the means of its two parts, scalars in nats; both parts are (samples, batch)."""
    bound = tf.reduce_logsumexp(log_likelihood - log_ratio, axis=0) - np.log(log_likelihood.shape[0])  # (batch,)
    return -tf.reduce_mean(bound), -tf.reduce_mean(log_likelihood), tf.reduce_mean(log_ratio)


class NormalPrior(layers.Layer):
    """N(0, I): the prior that learns nothing."""

    def call(self, latent):
        """Return the log density, (...), of latent vectors, (..., latent_size)."""
        return losses.normal_log_density(latent, tf.zeros_like(latent), tf.zeros_like(latent))

    def transform(self, noise):
        """Return draws, (count, latent_size), made of standard normal noise of that shape."""
        return tf.convert_to_tensor(noise)


class FlowPrior(NormalPrior):
    """N(0, I) seen through invertible steps, each of which scales and shifts one half by what the other half says.

    The halves take turns. At the start no step changes anything, so that the prior is N(0, I).
    Source: Dinh et al. 2017, section 3; as a prior of a VAE: Xu et al. 2019.
    """

    def __init__(self, latent_size, steps, width):
        super().__init__()
        self.couplings = [build_coupling(latent_size // 2, width) for _ in range(steps)]

    def call(self, latent):
        """Return the log density, (...), of latent vectors, (..., latent_size), by the change of variables."""
        kept, moved = tf.split(tf.reshape(latent, (-1, latent.shape[-1])), 2, axis=-1)
        log_volume = 0.0
        for coupling in self.couplings:
            log_scale, shift = coupling(kept)
            kept, moved = moved * tf.exp(log_scale) + shift, kept
            log_volume += tf.reduce_sum(log_scale, axis=-1)
        log_density = super().call(tf.concat([kept, moved], axis=-1)) + log_volume
        return tf.reshape(log_density, tf.shape(latent)[:-1])

    def transform(self, noise):
        """Return draws, (count, latent_size): the same steps backwards."""
        kept, moved = tf.split(noise, 2, axis=-1)
        for coupling in reversed(self.couplings):
            log_scale, shift = coupling(moved)
            kept, moved = moved, (kept - shift) * tf.exp(-log_scale)
        return tf.concat([kept, moved], axis=-1)


def build_coupling(half, width):
    """Return a network from one half of a latent vector, (batch, half), to log-scale and shift of the other."""
    kept = keras.Input((half,))
    hidden = layers.Dense(width, activation="silu")(kept)
    hidden = layers.Dense(width, activation="silu")(hidden)
    log_scale = layers.Dense(half, activation="tanh", kernel_initializer="zeros")(hidden)
    return keras.Model(kept, (log_scale, layers.Dense(half, kernel_initializer="zeros")(hidden)))


class FusedAdam(keras.optimizers.Adam):
    """Adam whose update of a variable is one call of TensorFlow's kernel: the same numbers in half the time.

    Keras makes about ten passes over the weights, a third of the time of a step of the dense VAE.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable and its two averages."""
        index, step = self._get_variable_index(variable), tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def build_dense(width, latent_size, mean):
    """Return an encoder and a decoder with two gated hidden layers each; mean: the pixels' means, (28, 28, 1).

    Source of the gates: Dauphin et al. 2017; in VAEs: Tomczak and Welling 2018.
    """
    images, latent = keras.Input(IMAGE_SHAPE), keras.Input((latent_size,))
    hidden = add_gated(add_gated(layers.Flatten()(images), width), width)
    encoder = keras.Model(images, (layers.Dense(latent_size)(hidden), layers.Dense(latent_size)(hidden)))
    hidden = add_gated(add_gated(latent, width), width)
    return encoder, keras.Model(latent, add_log_odds(layers.Dense(mean.size)(hidden), mean))


def add_gated(hidden, width):
    """Return features, (batch, width), that are linear in hidden but for the gates that let them through."""
    return keras.activations.glu(layers.Dense(2 * width)(hidden))


def build_convolutional(channels, width, latent_size, mean):
    """Return an encoder and a decoder of convolutions at 14x14 and 7x7; mean: the pixels' means, (28, 28, 1)."""
    images, latent = keras.Input(IMAGE_SHAPE), keras.Input((latent_size,))
    halve = {"kernel_size": 4, "strides": 2, "padding": "same"}
    hidden = layers.Normalization(axis=(1, 2, 3), mean=mean, variance=np.ones_like(mean))(images)
    hidden = layers.Conv2D(channels, activation="elu", **halve)(hidden)  # (batch, 14, 14, channels)
    hidden = layers.Conv2D(2 * channels, activation="elu", **halve)(hidden)
    hidden = add_residual(hidden)  # (batch, 7, 7, 2 * channels)
    hidden = layers.Dense(width, activation="elu")(layers.Flatten()(hidden))
    encoder = keras.Model(images, (layers.Dense(latent_size)(hidden), layers.Dense(latent_size)(hidden)))
    hidden = layers.Dense(width, activation="elu")(latent)
    hidden = layers.Dense(7 * 7 * 2 * channels, activation="elu")(hidden)
    hidden = add_residual(layers.Reshape((7, 7, 2 * channels))(hidden))
    hidden = layers.Conv2DTranspose(channels, activation="elu", **halve)(hidden)
    hidden = add_residual(hidden)  # (batch, 14, 14, channels)
    logits = layers.Conv2DTranspose(1, **halve)(hidden)
    return encoder, keras.Model(latent, add_log_odds(logits, mean))


def add_residual(hidden):
    """Return feature maps plus what a convolution makes of them, of the same shape."""
    change = layers.Conv2D(hidden.shape[-1], 3, padding="same", activation="elu")(hidden)
    return layers.Add()([hidden, change])


def add_log_odds(logits, mean):
    """Return logits, (batch, 28, 28, 1), shifted so that those of zero are the per-pixel Bernoulli model's."""
    shift = np.log(1.0 - mean) - np.log(mean)  # what Normalization subtracts
    logits = layers.Reshape(IMAGE_SHAPE)(logits)
    return layers.Normalization(axis=(1, 2, 3), mean=shift, variance=np.ones_like(shift))(logits)
