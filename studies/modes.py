"""Modes of mixtures in the plane: plain GAN, PacGAN and a stabilised GAN, on the data and by the measures of PacGAN.

The three methods share networks, optimiser, batch, steps, and that samples come from a running average of the
generator's weights; they differ in what the discriminator sees and in the loss. Ours are 50,000 steps, the paper's
400,000 (400 epochs of 100,000 points in batches of 100), so that one run more gives the plain GAN the paper's steps,
batch, learning rate and momentum, without averages, with the networks of the other runs. These are not the paper's:
they are smaller, and the generator begins with a layer of steep steps; see `build_generator`.
Settings were chosen for the stabilised GAN, on seeds from 100 up, by the measures on fresh draws; the other methods got
the same and were not tuned. Seeds 0 to 9 had no part in it.
Source: Lin et al. 2018, section 4.1, and their code, https://github.com/fjxmlzn/PacGAN.
"""

import math
import time
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from helpers import losses, models, training
from helpers.book import runtime
from studies import mixtures
from tools.studies import study_digest

SEEDS = 10
SELECTION = "validation"  # fresh draws of the mixture, by other seeds
RUNS = {
    "real data, ring": {"mixture": "ring", "steps": 0, "seeds": 1},
    "real data, grid": {"mixture": "grid", "steps": 0, "seeds": 1},
    "stabilised GAN, ring": {"mixture": "ring", "stabilised": True},
    "stabilised GAN, grid": {"mixture": "grid", "stabilised": True},
    "plain GAN, ring": {"mixture": "ring"},
    "plain GAN, grid": {"mixture": "grid"},
    "PacGAN2, ring": {"mixture": "ring", "packed": 2},
    "PacGAN2, grid": {"mixture": "grid", "packed": 2},
    "plain GAN, grid, 400,000 steps": {
        "mixture": "grid",
        "steps": 400_000,
        "batch_size": 100,
        "learning_rate": 1e-4,
        "final_share": 1.0,
        "beta_1": 0.8,
        "beta_2": 0.999,
        "averaging": 0.0,
        "looked_at": (20_000, 100_000, 200_000),
        "seeds": 1,
    },
}
DEFAULTS = {
    "steepness": 300.0,  # of the first layer of the generator, at the start
    "packed": 1,  # points that the discriminator judges at once
    "stabilised": False,
    "steps": 50_000,
    "batch_size": 256,  # points of each kind in a step, whether they are judged one by one or in packs
    "learning_rate": 3e-3,
    "final_share": 0.1,  # of the learning rate, which falls along a cosine
    "beta_1": 0.5,
    "beta_2": 0.99,  # of squared gradients: they change as the other network learns, and 0.999 is slow to notice
    "averaging": 0.999,  # the weight of the past in the generator's running average; 0 for none
    "looked_at": (),  # steps on the way after which the modes are counted too
}

MIXTURES = {"ring": mixtures.build_ring, "grid": mixtures.build_grid}
POINTS, SCORED, DRAWS = 100_000, 2_500, 10  # to learn from; to score, as published; sets of these where one run is all
UNITS = {"modes": "modes", "high_quality": "share", "reverse_kl": "nats", "spread": "sigma"}
LATENT_SIZE = 2
WIDTH = 64
PENALTIES = (1.0, 1e-5)  # the weight of both gradient penalties at the first step and at the last
STEPS_PER_PART = 20_000  # between two states that are kept
FIRST_DRAW = 1_000  # seeds of what is scored: none of them is that of points to learn from


def build_generator(steepness):
    """Return the generator, (batch, 2) -> (batch, 2).

    Its first layer is a set of steps at random places, so steep that a sample can jump from mode to mode: a generator
    of gentle slope draws lines between them, of points that belong to none, and takes long to become steep.
    """
    first = layers.Dense(
        WIDTH,
        activation="tanh",
        kernel_initializer=keras.initializers.RandomNormal(stddev=steepness),
        bias_initializer=keras.initializers.RandomUniform(-1.5 * steepness, 1.5 * steepness),
    )
    return keras.Sequential([keras.Input((LATENT_SIZE,)), first, *_build_hidden(2), layers.Dense(2)])


def build_discriminator(packed):
    """Return the discriminator, (batch, 2 * packed) -> (batch, 1) logits: a pack of points is judged as a whole."""
    return keras.Sequential([keras.Input((2 * packed,)), *_build_hidden(3), layers.Dense(1)])


def _build_hidden(count):
    return [
        layer
        for _ in range(count)
        for layer in (layers.Dense(WIDTH, kernel_initializer="he_normal"), layers.LeakyReLU(0.2))
    ]


def pairing_loss(higher_logits, lower_logits):
    """Return the relativistic pairing loss, log(1 + exp(lower - higher)), the mean over the batch, a scalar.

    higher_logits, lower_logits: (batch, 1). The discriminator takes it of (D(x), D(G(z))), so that real points should
    have the higher logit of each pair; the generator of (D(G(z)), D(x)). Only differences count, hence samples at one
    mode do not suffice: the pairs with real points elsewhere still push.
    Source: Jolicoeur-Martineau 2019; Huang et al. 2024, section 2.
    """
    return tf.reduce_mean(tf.nn.softplus(lower_logits - higher_logits))


def gradient_penalty(gradients):
    """Return half the squared length of the discriminator's gradients, the mean over the batch, a scalar.

    gradients: (batch, coordinates), of the logits with respect to points: real ones (R1) and generated ones (R2). It
    keeps both networks from circling around the solution, where gradients are zero.
    Source: Mescheder et al. 2018, equation 9; Huang et al. 2024, section 2, for both at once.
    """
    return 0.5 * tf.reduce_mean(tf.reduce_sum(tf.square(gradients), axis=-1))


class PlaneGAN:
    """A generator and a discriminator of points, with their optimisers; a step moves the discriminator first.

    points: (count, 2), divided by scale for the networks. run: settings, with all of DEFAULTS. Batches (drawn with
    replacement) and noise follow from (seed, step) alone.
    """

    def __init__(self, points, scale, run, seed):
        keras.utils.set_random_seed(seed)
        self.points, self.scale, self.run, self.seed = tf.constant(points / scale), scale, run, seed
        self.generator = build_generator(run["steepness"])
        self.discriminator = build_discriminator(run["packed"])
        rate = keras.optimizers.schedules.CosineDecay(run["learning_rate"], run["steps"], alpha=run["final_share"])
        betas = {name: run[name] for name in ("beta_1", "beta_2")}
        averages = {"use_ema": True, "ema_momentum": run["averaging"]} if run["averaging"] else {}
        self.optimizers = [keras.optimizers.Adam(rate, **betas, **more) for more in (averages, {})]
        for optimizer, network in zip(self.optimizers, (self.generator, self.discriminator), strict=True):
            optimizer.build(network.trainable_variables)

    @property
    def variables(self):
        """Return all that a step changes: the weights and the state of Adam, with the averages."""
        parts = (self.generator, self.discriminator, *self.optimizers)
        return [variable for part in parts for variable in part.variables]

    @tf.function
    def learn(self, steps):
        """Take so many steps, in one call of the graph."""
        for _ in tf.range(steps):
            step = tf.cast(self.optimizers[0].iterations, tf.int32)
            real, latent = self._draw(step)
            with tf.GradientTape() as tape:
                fake = self._pack(self.generator(latent))
                with tape.stop_recording():
                    self._update_discriminator(real, fake, step)
                fake_logits = self.discriminator(fake)
                if self.run["stabilised"]:
                    loss = pairing_loss(fake_logits, self.discriminator(real))
                else:
                    loss = losses.generator_loss(fake_logits)
            weights = self.generator.trainable_variables
            self.optimizers[0].apply(tape.gradient(loss, weights), weights)

    def average(self):
        """Put their running averages in the place of the generator's weights, where the run keeps any.

        The generator circles around a solution, and the average lies nearer to it. Source: Yazici et al. 2019.
        """
        self.optimizers[0].finalize_variable_values(self.generator.trainable_variables)

    def _update_discriminator(self, real, fake, step):
        both = tf.concat([real, fake], axis=0)  # (2 * batch, 2 * packed)
        with tf.GradientTape() as tape:
            if self.run["stabilised"]:
                with tf.GradientTape() as point_tape:
                    point_tape.watch(both)
                    logits = self.discriminator(both)  # (2 * batch, 1)
                penalty = 2.0 * gradient_penalty(point_tape.gradient(logits, both))  # twice the mean: R1 + R2
                loss = pairing_loss(*tf.split(logits, 2)) + self.penalty_weight(step) * penalty
            else:
                loss = losses.discriminator_loss(*tf.split(self.discriminator(both), 2))
        weights = self.discriminator.trainable_variables
        self.optimizers[1].apply(tape.gradient(loss, weights), weights)

    def penalty_weight(self, step):
        """Return the weight of the penalties, which falls along a cosine in its logarithm.

        Strong at first, they keep all modes in reach; a discriminator that tells modes this narrow apart is steep.
        """
        first, last = (math.log(weight) for weight in PENALTIES)
        turned = 0.5 + 0.5 * tf.cos(math.pi * tf.cast(step, tf.float32) / self.run["steps"])
        return tf.exp(last + (first - last) * turned)

    def _draw(self, step):
        """Return real points in packs, (batch / packed, 2 * packed), and as many latent points, (batch, 2)."""
        count, seed = self.run["batch_size"], (self.seed, step)
        chosen = tf.random.stateless_uniform((count,), seed, 0, len(self.points), tf.int32)
        latent = tf.random.stateless_normal((count, LATENT_SIZE), tf.random.fold_in(seed, 1))
        return self._pack(tf.gather(self.points, chosen)), latent

    def _pack(self, points):
        """Return points, (batch, 2), side by side in packs, (batch / packed, 2 * packed)."""
        return tf.reshape(points, (-1, 2 * self.run["packed"]))

    def sample(self, count, seed):
        """Return generated points, (count, 2), of latent points drawn from N(0, I) with this seed."""
        return self.scale * self.generator(models.draw_latent(count, LATENT_SIZE, seed)).numpy()


def build_gan(run, seed):
    """Return the PlaneGAN of a run's settings, with the points that it learns from, drawn with the same seed."""
    mixture = MIXTURES[run["mixture"]]()
    scale = np.float32(np.sqrt(np.mean(mixture.centers**2)))  # the root mean square of a coordinate becomes 1
    return PlaneGAN(mixtures.draw_points(mixture, POINTS, seed), scale, run, seed)


def measure(label, folder):
    """Train as the run says, or draw the real data where it trains for no step; return what the points are worth."""
    settings, run = runtime.start(), DEFAULTS | RUNS[label]
    mixture, draws = MIXTURES[run["mixture"]](), DRAWS if RUNS[label].get("seeds") == 1 else 1
    if run["steps"] == 0:
        draw_figure(mixtures.draw_points(mixture, SCORED, FIRST_DRAW), run["mixture"], folder / f"{_slug(label)}.png")
        return score(lambda seed: mixtures.draw_points(mixture, SCORED, seed), mixture, label, draws)

    gan, found = build_gan(run, settings.seed), {}

    def look(step):
        if step in run["looked_at"]:
            found.update(score(lambda seed: gan.sample(SCORED, seed), mixture, f"{label}, step {step}", draws))

    seconds = train(gan, folder, study_digest(Path(__file__), label)[:12], look)
    if settings.seed == 0:
        draw_figure(gan.sample(SCORED, FIRST_DRAW), run["mixture"], folder / f"{_slug(label)}.png")
    found |= score(lambda seed: gan.sample(SCORED, seed), mixture, label, draws)
    error = (np.std(seconds) * len(seconds) ** 0.5,) if draws > 1 else ()
    found[f"seconds/{label}"] = (sum(seconds), "s of one core", *error)
    parameters = gan.generator.count_params() + gan.discriminator.count_params()
    found[f"parameters/{label}"] = (parameters, "parameters", *((0.0,) if draws > 1 else ()))
    return found


def train(gan, folder, made_with, look):
    """Train to the run's last step, and average; return the seconds of one core that each part took.

    look: called with the step after each part. The state after each is kept in folder, under a name with made_with, a
    digest of the code, and training goes on from there: states that other code reached are not touched.
    """
    seconds = []
    for step in range(0, gan.run["steps"], STEPS_PER_PART):
        reached = min(step + STEPS_PER_PART, gan.run["steps"])
        file = folder / f"{made_with}_{reached:06d}.npz"
        if file.exists():
            seconds = training.restore_state(file, {"code": made_with}, gan.variables)["seconds"].tolist()
        else:
            begun = time.process_time()
            gan.learn(tf.constant(reached - step))
            seconds = [*seconds, time.process_time() - begun]
            training.save_state(file, {"code": made_with}, gan.variables, seconds=seconds)
        look(reached)
    gan.average()
    return seconds


def score(sample, mixture, label, draws):
    """Return the measures by name, as means over so many sets of points; with a standard error where these are several.

    sample: from a seed to points, (SCORED, 2).
    """
    scores = [mixtures.score_modes(sample(seed), mixture) for seed in range(FIRST_DRAW, FIRST_DRAW + draws)]
    found = {}
    for name, values in zip(mixtures.ModeScore._fields, zip(*scores, strict=True), strict=True):
        error = (np.std(values, ddof=1) / math.sqrt(draws),) if draws > 1 else ()
        found[f"{name}/{label}"] = (np.mean(values), UNITS[name], *error)
    return found


def draw_figure(points, name, file):
    """Draw points, (count, 2), into a PNG file, over the whole of the mixture of that name."""
    figure, ax = plt.subplots(figsize=(2.6, 2.6), dpi=110, layout="constrained")
    ax.scatter(*points.T, s=2, alpha=0.3, linewidths=0)
    reach = 1.25 * np.abs(MIXTURES[name]().centers).max()
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    figure.savefig(file)
    plt.close(figure)


def _slug(label):
    return "_".join("".join(sign if sign.isalnum() else " " for sign in label.lower()).split())
