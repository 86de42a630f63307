"""Test NLL of VAEs on dynamically binarised MNIST, in nats, to stand beside the table of Burda et al. 2016.

Training draws the pixels afresh whenever an image comes up. The test images are binarised once, with a fixed seed, as
Burda et al. do; a second draw shows how much hangs on that one. NLL is the importance-weighted bound, which lies above
the true value and falls towards it with more samples: 5,000 samples for all 10,000 test images. Where a decoder is too
slow for that, the first 1,000 images have 5,000 samples and all have 500: test_nll is then that of all, the looser one,
and the gap between the two is measured on the same images. Settings were chosen by the NLL of validation images after
short trainings. Training goes on after a stop as if there were none: noise and order follow from seed and step.
"""

import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from scipy.special import logsumexp

from helpers import data, losses, metrics, models, training
from helpers.book import runtime
from helpers.checks import IMAGE_SHAPE
from tools.studies import study_digest

SEEDS = 1
SELECTION = "validation"
PROFILE = "full"
# phases: (samples in the loss, the epoch until which). rows: latent vectors that evaluation decodes at once.
# fully: how many test images have 5,000 importance samples.
RUNS = {
    "VAE, k=1": {
        "network": "dense",
        "width": 300,
        "latent_size": 50,
        "phases": ((1, 220),),
        "batch_size": 200,
        "learning_rate": 2e-3,
        "rows": 2_500,
        "fully": 10_000,
    },
    "per-pixel Bernoulli": {"network": "none"},
    "convolutional, k=1 then 4": {
        "network": "convolutional",
        "channels": 16,
        "width": 256,
        "latent_size": 40,
        "phases": ((1, 30), (4, 39)),
        "batch_size": 100,
        "learning_rate": 2e-3,
        "rows": 500,
        "fully": 1_000,
    },
    "IWAE, k=1 then 5": {
        "network": "dense",
        "width": 300,
        "latent_size": 50,
        "phases": ((1, 90), (5, 125)),
        "batch_size": 200,
        "learning_rate": 2e-3,
        "rows": 2_500,
        "fully": 10_000,
    },
}

VALIDATION_DRAW, TEST_DRAW, SECOND_DRAW = 1, 2, 3  # seeds of the binary pixels
EVALUATION_SEED = 5
MANY, FEW = 5_000, 500  # importance samples an image
PART = 1_000  # images of validation, and of comparisons
BLOCK = 50  # images whose weights are held at once
CHECKPOINT_EPOCHS = 5


class IWAE(models.VAE):
    """A VAE trained on the importance-weighted bound of so many samples an image; with one sample it is the ELBO.

    Its three terms are the negative bound, and the means over samples of -log p(x | z) and log q(z | x) - log p(z).
    Source: Burda et al. 2016, equation 8.
    """

    def __init__(self, encoder, decoder, samples, seed=0):
        super().__init__(encoder, decoder, seed=seed)
        self.samples = samples

    def compute_terms(self, images, step, training):
        """Return (loss, reconstruction, kl) in nats, scalars, of binary images, (batch, 28, 28, 1)."""
        mean, log_variance = self.encoder(images, training=training)  # (batch, latent_size) each
        noise = tf.random.stateless_normal((self.samples, tf.shape(mean)[0], self.latent_size), (self.seed, step))
        latent = losses.reparameterise(mean, log_variance, noise)  # (samples, batch, latent_size)
        logits = self.decoder(tf.reshape(latent, (-1, self.latent_size)), training=training)
        log_likelihood = losses.bernoulli_log_likelihood(tf.tile(images, (self.samples, 1, 1, 1)), logits)
        log_likelihood = tf.reshape(log_likelihood, (self.samples, -1))
        log_prior = losses.normal_log_density(latent, tf.zeros_like(mean), tf.zeros_like(mean))
        log_ratio = losses.normal_log_density(latent, mean, log_variance) - log_prior  # (samples, batch)
        bound = tf.reduce_logsumexp(log_likelihood - log_ratio, axis=0) - np.log(self.samples)  # (batch,)
        return -tf.reduce_mean(bound), -tf.reduce_mean(log_likelihood), tf.reduce_mean(log_ratio)


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
    return layers.Multiply()([layers.Dense(width)(hidden), layers.Dense(width, activation="sigmoid")(hidden)])


def build_convolutional(channels, width, latent_size, mean):
    """Return an encoder and a decoder of convolutions at 14x14 and 7x7; mean: the pixels' means, (28, 28, 1)."""
    images, latent = keras.Input(IMAGE_SHAPE), keras.Input((latent_size,))
    hidden = layers.Normalization(axis=(1, 2, 3), mean=mean, variance=np.ones_like(mean))(images)
    hidden = layers.Conv2D(channels, 4, strides=2, padding="same", activation="elu")(
        hidden
    )  # (batch, 14, 14, channels)
    hidden = layers.Conv2D(2 * channels, 4, strides=2, padding="same", activation="elu")(hidden)
    hidden = add_residual(hidden)  # (batch, 7, 7, 2 * channels)
    hidden = layers.Dense(width, activation="elu")(layers.Flatten()(hidden))
    encoder = keras.Model(images, (layers.Dense(latent_size)(hidden), layers.Dense(latent_size)(hidden)))
    hidden = layers.Dense(width, activation="elu")(latent)
    hidden = layers.Dense(7 * 7 * 2 * channels, activation="elu")(hidden)
    hidden = add_residual(layers.Reshape((7, 7, 2 * channels))(hidden))
    hidden = layers.Conv2DTranspose(channels, 4, strides=2, padding="same", activation="elu")(hidden)
    hidden = add_residual(hidden)  # (batch, 14, 14, channels)
    logits = layers.Conv2DTranspose(1, 4, strides=2, padding="same")(hidden)
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


def measure(label, folder):
    """Train the model that RUNS has under the label, if it trains one; return likelihoods of test images, and costs."""
    run, settings, made_with = RUNS[label], runtime.start(), study_digest(Path(__file__), label)
    digits = data.load(settings.profile)
    test, second = (data.draw_binary(digits.test.images, draw) for draw in (TEST_DRAW, SECOND_DRAW))
    mean = metrics.smooth_mean(digits.train.images)
    found = {
        "pixels_redrawn_in_training": (*measure_redrawn(digits.train.images[:PART:20], settings.seed), "share"),
        "pixels_redrawn_in_test": (*average(np.mean(test != second, axis=(1, 2, 3))), "share"),
    }
    if run["network"] == "none":
        nlls = [metrics.bernoulli_mixture_nll(image[None], mean[None]) for image in test]
        found |= {"test_nll": (*average(nlls), "nats"), "parameters": (mean.size, 0.0, "parameters")}
    else:
        vae = build(run, mean, settings.seed)
        seconds = train(vae, digits, run, folder / "training.npz", made_with)
        found |= {
            "parameters": (vae.encoder.count_params() + vae.decoder.count_params(), 0.0, "parameters"),
            "seconds": (seconds, 0.0, "s of one core"),
            "epochs": (run["phases"][-1][1], 0.0, "epochs"),
        }
        validation = data.draw_binary(digits.validation.images[:PART], VALIDATION_DRAW)
        found |= compare_bounds(Evaluation(vae, run["rows"], folder, made_with), test, second, validation, run["fully"])
    return {f"{name}/{label}": (value, unit, error) for name, (value, error, unit) in found.items()}


def measure_redrawn(images, seed):
    """Return the share of pixels that differ from one pass of training to the next, with its error over images.

    images: grey, (count, 28, 28, 1). Each goes through the batches of training on its own, so that passes line up.
    """
    shares = []
    for image in images:
        passes = data.make_batches(image[None], 1, seed, held_out=images[:0], binary=True).take(2)
        first, second = passes.as_numpy_iterator()
        shares.append(np.mean(first != second))
    return average(shares)


def average(values):
    """Return the mean of values, one for each image, and its standard error over images."""
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def build(run, mean, seed):
    """Return the untrained model of a run; mean: the pixels' means over the training images, (28, 28, 1)."""
    if run["network"] == "dense":
        networks = build_dense(run["width"], run["latent_size"], mean)
    else:
        networks = build_convolutional(run["channels"], run["width"], run["latent_size"], mean)
    samples = max(samples for samples, _ in run["phases"])
    return models.VAE(*networks, seed=seed) if samples == 1 else IWAE(*networks, samples, seed=seed)


def train(vae, digits, run, file, made_with):
    """Train to the last of the run's epochs, from a checkpoint if there is one; return the CPU seconds.

    The learning rate falls to zero over all phases, along one cosine. Raises LeakError and ImageError, and
    CheckpointError for a checkpoint of other code.
    """
    steps, last = len(digits.train.images) // run["batch_size"], run["phases"][-1][1]
    optimizer = training.build_optimizer(run["learning_rate"], last * steps)
    checkpoint = training.Checkpoint(file, CHECKPOINT_EPOCHS, code=made_with)
    batches = data.make_batches(
        digits.train.images, run["batch_size"], vae.seed, digits.test.images, binary=True, start=checkpoint.read
    )
    for samples, end in run["phases"]:
        vae.samples = samples
        vae.compile(optimizer, steps_per_execution=training.find_steps_per_call(steps))
        vae.fit(batches, epochs=end, steps_per_epoch=steps, callbacks=[checkpoint], verbose=0)
    return checkpoint.seconds


class Evaluation:
    """Takes the importance-weighted bounds of a trained model, and goes on after a stop from what folder keeps.

    rows: how many latent vectors are decoded at once.
    """

    def __init__(self, vae, rows, folder, made_with):
        self.vae, self.draws, self.folder, self.made_with = vae, rows // BLOCK, folder, {"code": made_with}
        self.seconds = 0.0

    def take(self, name, images, samples):
        """Return the bounds of binary images, (count, 28, 28, 1), as take_bounds does; name is that of the file."""
        file = self.folder / f"{name}.npz"
        stored = training.restore_state(file, self.made_with, ()) or {"bounds": np.empty((0, 3)), "seconds": 0.0}
        bounds, spent, begun = stored["bounds"], float(stored["seconds"]), time.process_time()
        seconds = spent
        for start in range(len(bounds), len(images), BLOCK):
            block = images[start : start + BLOCK]
            weights = self.vae.log_weights(block, samples, EVALUATION_SEED + start, draws_at_once=self.draws)
            bounds = np.concatenate([bounds, take_bounds(weights)])
            seconds = spent + time.process_time() - begun
            training.save_state(file, self.made_with, (), bounds=bounds, seconds=seconds)
        self.seconds += seconds
        return bounds


def take_bounds(log_weights):
    """Return the negative ELBO and the bounds with the first 500 and with all samples, in nats, (count, 3).

    log_weights: (samples, count), log p(x, z) - log q(z | x) for z drawn from q(z | x).
    """
    weights = log_weights.astype(np.float64)
    bounds = [np.log(len(part)) - logsumexp(part, axis=0) for part in (weights[:FEW], weights)]
    return np.stack([-weights.mean(axis=0), *bounds], axis=1)


def compare_bounds(evaluation, test, second, validation, fully):
    """Return {name: (value, error, unit)}: likelihoods, how they hang on samples and pixels, and what they cost.

    test, second: two binary draws of the test images, (count, 28, 28, 1). fully: how many of them have 5,000 samples.
    """
    bounds = [evaluation.take("test", test[:fully], MANY)]
    if fully < len(test):
        bounds.append(evaluation.take("test_rest", test[fully:], FEW))
    elbo, few, many = np.concatenate(bounds).T  # (count,) each; the last ones with FEW samples where that is all
    again = evaluation.take("test_second_draw", second[:PART], FEW)[:, 1]
    held_out = evaluation.take("validation", validation, FEW)
    headline, samples = (many, MANY) if fully == len(test) else (few, FEW)
    nlls = {
        "test_nll": headline,
        "test_negative_elbo": elbo,
        "test_nll_500": few,
        "test_nll_first_1000": many[:PART],
        "test_nll_500_first_1000": few[:PART],
        "sampling_gap_first_1000": few[:PART] - many[:PART],
        "test_nll_500_first_1000_second_draw": again,
        "second_draw_gap_first_1000": again - few[:PART],
        "validation_nll_500": held_out[:, 1],
        "validation_negative_elbo": held_out[:, 0],
    }
    return {name: (*average(values), "nats") for name, values in nlls.items()} | {
        "test_samples": (samples, 0.0, "importance samples"),
        "test_images": (len(test), 0.0, "images"),
        "evaluation_seconds": (evaluation.seconds, 0.0, "s of one core"),
    }
