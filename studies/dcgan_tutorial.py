"""TensorFlow's DCGAN tutorial beside the book's own GAN, both told nothing: which gain is network's, which recipe's.

The facts are those of https://www.tensorflow.org/tutorials/generative/dcgan: layers, losses, optimisers, batch, epochs.
Two things differ. It learns from the 50,000 images of the book's training split, not from 60,000, so that an epoch is a
sixth shorter; and noise and order follow from seed and step, so that it goes on after a stop as if there were none.

Two more rows make the terms fair. The tutorial's networks learn by the recipe of the study `gan_mnist`, unchanged, for
about its seconds: what they gain is the recipe's, what is left is the network's. And the GAN of that study learns ten
times as long, still for fewer seconds than the tutorial. The tutorial after that GAN's own seconds is on its curve.
Nothing was chosen here. The test images serve for the curves and for the final scores.
"""

import json
import time
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from helpers import data, losses, models, scorecard, training
from helpers.book import runtime
from helpers.checks import IMAGE_SHAPE
from studies.gan_mnist import (
    LATENT_SIZE,
    PENALTY_WEIGHT,
    UNITS,
    LazyGAN,
    build_gan,
    jackknife,
    measure_gan,
    score,
    take_distance,
)
from studies.pictures import draw_grid

SEEDS = 1
SELECTION = "none"
PROFILE = "full"
THREADS = 2
RUNS = {
    "DCGAN tutorial": {"epochs": 50, "batch_size": 256, "learning_rate": 1e-4, "latent_size": 100},
    "tutorial networks by our recipe": {"told": "nothing", "steps": 1_200},
    "GAN for ten times the steps": {"told": "nothing", "channels": 32, "steps": 60_000},
}

LOOKED_AT = (1, 2, 3, *range(5, 1_000, 5))  # the epochs after which the Frechet distance is taken, and weights kept


class Tutorial:
    """Both networks with their optimisers, and the step in which each learns from the other's old weights."""

    def __init__(self, latent_size, learning_rate, seed):
        self.latent_size, self.seed = latent_size, seed
        self.generator, self.discriminator = build_generator(latent_size), build_discriminator(seed)
        self.optimizers = [keras.optimizers.Adam(learning_rate) for _ in range(2)]
        for optimizer, network in zip(self.optimizers, (self.generator, self.discriminator), strict=True):
            optimizer.build(network.trainable_variables)

    @property
    def variables(self):
        """Return all that a step changes: weights, means of batch normalisation, the state of dropout and of Adam."""
        parts = (self.generator, self.discriminator, *self.optimizers)
        return [variable for part in parts for variable in part.variables]

    @tf.function
    def learn(self, batches, steps):
        """Take so many steps on batches of real images, (batch, 28, 28, 1) in [0, 1], from an iterator."""
        for _ in tf.range(steps):
            real = 2.0 * next(batches) - 1.0
            step = tf.cast(self.optimizers[0].iterations, tf.int32)
            latent = tf.random.stateless_normal((tf.shape(real)[0], self.latent_size), (self.seed, step))
            with tf.GradientTape() as generator_tape, tf.GradientTape() as discriminator_tape:
                fake = self.generator(latent, training=True)  # (batch, 28, 28, 1) in [-1, 1]
                real_logits = self.discriminator(real, training=True)  # (batch, 1)
                fake_logits = self.discriminator(fake, training=True)  # (batch, 1)
                g_loss = losses.generator_loss(fake_logits)
                d_loss = losses.discriminator_loss(real_logits, fake_logits)
            g_weights, d_weights = self.generator.trainable_variables, self.discriminator.trainable_variables
            g_gradients = generator_tape.gradient(g_loss, g_weights)
            d_gradients = discriminator_tape.gradient(d_loss, d_weights)
            self.optimizers[0].apply(g_gradients, g_weights)
            self.optimizers[1].apply(d_gradients, d_weights)

    def sample(self, count, seed):
        """Return images, (count, 28, 28, 1) in [0, 1], of latent vectors drawn from N(0, I) with this seed."""
        latent = models.draw_latent(count, self.latent_size, seed)
        return np.clip(self.generator.predict(latent, batch_size=500, verbose=0) / 2.0 + 0.5, 0.0, 1.0)


def build_generator(latent_size):
    """Return the tutorial's generator, (batch, latent_size) -> (batch, 28, 28, 1) in [-1, 1]."""
    return keras.Sequential(
        [
            keras.Input((latent_size,)),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(),  # Keras's own slope below zero, 0.3, here and in what follows
            layers.Reshape((7, 7, 256)),
            layers.Conv2DTranspose(128, 5, padding="same", use_bias=False),  # (batch, 7, 7, 128)
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(64, 5, strides=2, padding="same", use_bias=False),  # (batch, 14, 14, 64)
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(1, 5, strides=2, padding="same", use_bias=False, activation="tanh"),
        ]
    )


def build_discriminator(seed):
    """Return the tutorial's discriminator, (batch, 28, 28, 1) -> (batch, 1) logits; seed is that of its dropout."""
    return keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE),
            layers.Conv2D(64, 5, strides=2, padding="same"),  # (batch, 14, 14, 64)
            layers.LeakyReLU(),
            layers.Dropout(0.3, seed=seed),
            layers.Conv2D(128, 5, strides=2, padding="same"),  # (batch, 7, 7, 128)
            layers.LeakyReLU(),
            layers.Dropout(0.3, seed=seed + 1),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


def measure(label, folder):
    """Train the tutorial as it is, or by the book's recipe, or the book's GAN; return its curve and its scores."""
    settings, run = runtime.start(), RUNS[label]
    digits = data.load(settings.profile)
    if label == "DCGAN tutorial":
        return measure_tutorial(label, run, digits, settings.seed, folder)
    build = build_gan if "channels" in run else build_for_recipe
    return measure_gan(label, run, digits, settings.seed, folder, build)


def build_for_recipe(run, classes, seed):
    """Return the tutorial's networks as a LazyGAN, whose images are in [0, 1]; classes: 1, it is told nothing."""
    generator = keras.Sequential([build_generator(LATENT_SIZE + classes), layers.Rescaling(0.5, 0.5)])
    scale = [keras.Input(IMAGE_SHAPE), layers.Rescaling(2.0, -1.0)]
    return LazyGAN(generator, keras.Sequential([*scale, build_discriminator(seed)]), seed, PENALTY_WEIGHT)


def measure_tutorial(label, run, digits, seed, folder):
    """Train to the last epoch that the run names; return the curve on the way there, and the final scores."""
    scorer = scorecard.Scorer(digits)
    tutorial = Tutorial(run["latent_size"], run["learning_rate"], seed)
    seconds, distances = train(tutorial, digits, scorer, run, folder)

    images = tutorial.sample(scorer.count, seed=4)
    draw_grid(images[:100], folder / "dcgan_tutorial.png")
    found = {f"{name}/{label}": entry for name, entry in score(scorer, digits, images).items()}
    parameters = tutorial.generator.count_params() + tutorial.discriminator.count_params()
    found[f"parameters/{label}"] = (parameters, "parameters", 0.0)
    spread = np.std(seconds)  # of an epoch's seconds
    found[f"seconds/{label}"] = (np.sum(seconds), "s of one core", spread * len(seconds) ** 0.5)
    found[f"epoch_seconds/{label}"] = (np.mean(seconds), "s of one core", spread / len(seconds) ** 0.5)
    for epoch, (distance, error) in distances.items():
        point = f"{label}, epoch {epoch}"
        found[f"seconds/{point}"] = (np.sum(seconds[:epoch]), "s of one core", spread * epoch**0.5)
        found[f"frechet/{point}"] = (distance, UNITS["frechet"], error)
    return found


def train(tutorial, digits, scorer, run, folder):
    """Train to the run's last epoch; return each epoch's seconds, and {epoch: (Frechet distance, standard error)}.

    The seconds are those of one core, and of training alone. The state after each epoch is kept in folder until the
    next one is, and for good where the distance is taken: training goes on from there, or is only looked at again. The
    curve so far is in folder too, as curve.json. Raises CheckpointError for a state reached with other settings.
    """
    steps, epochs = len(digits.train.images) // run["batch_size"], run["epochs"]
    file_of = {epoch: folder / f"epoch_{epoch:03d}.npz" for epoch in range(1, epochs + 1)}
    begun = max((epoch for epoch, file in file_of.items() if file.exists()), default=0)
    batches = data.make_batches(digits.train.images, run["batch_size"], tutorial.seed, held_out=digits.test.images)
    stream = iter(batches.skip(begun * steps))
    made_with = {**run, "epochs": None, "seed": tutorial.seed}
    real, seconds, distances = scorer.extract(digits.test.images[: scorer.count]), [], {}
    for epoch, file in file_of.items():
        if file.exists():
            seconds = training.restore_state(file, made_with, tutorial.variables)["seconds"].tolist()
        elif epoch > begun:
            start = time.process_time()
            tutorial.learn(stream, tf.constant(steps))
            seconds.append(time.process_time() - start)
            training.save_state(file, made_with, tutorial.variables, seconds=seconds)
            if epoch - 1 not in (0, *LOOKED_AT):
                file_of[epoch - 1].unlink(missing_ok=True)
        else:
            continue
        if epoch in LOOKED_AT or epoch == epochs:
            fake = scorer.extract(tutorial.sample(scorer.count, seed=4))
            distances[epoch] = jackknife(partial(take_distance, real, fake), scorer.count)["frechet"]
            curve = {epoch: (sum(seconds[:epoch]), *entry) for epoch, entry in distances.items()}
            (folder / "curve.json").write_text(json.dumps(curve, indent=1) + "\n", encoding="utf-8")
    return seconds, distances
