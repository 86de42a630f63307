"""Modes of mixtures in the plane: plain GAN, PacGAN and a stabilised GAN, on the data and by the measures of PacGAN.

The three methods share networks, optimiser, batch, about the seconds of one core, and that samples come from a running
average of the generator's weights; they differ in what the discriminator sees, in the loss, and in how many steps the
seconds are: those without penalties are cheaper. The learning rate of each was chosen in as many trials of equal
seconds on the grid, by the study `modes_trials`, and holds on the ring, too; the other settings are those that were
found for the stabilised GAN. That was done on seeds from 100 up, by the measures on fresh draws; seeds 0 to 9 had no
part in it.
The networks are not the paper's: they are smaller, and the generator begins with a layer of steep steps, see
`build_generator`. Two runs more, with one seed each and not tuned, say what that does: PacGAN2 with the networks of the
paper, four layers of 400 normalised units against three of 200 maxout units, which have fifty times the weights, so
that about our seconds are 5,000 steps of them, at ten times the paper's learning rate, falling; and the plain GAN with
our networks and the paper's 400,000 steps (400 epochs of 100,000 points in batches of 100), batch, learning rate and
momentum, without averages.
Source: Lin et al. 2018, section 4.1, and their code, https://github.com/fjxmlzn/PacGAN.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from helpers import models
from helpers.book import runtime
from helpers.networks import NEGATIVE_SLOPE
from studies import adversaries, mixtures

SEEDS = 10
SELECTION = "validation"  # fresh draws of the mixture, by other seeds
RUNS = {
    "real data, ring": {"mixture": "ring", "steps": 0, "seeds": 1},
    "real data, grid": {"mixture": "grid", "steps": 0, "seeds": 1},
    "stabilised GAN, grid": {"mixture": "grid", "stabilised": True},
    "plain GAN, grid": {"mixture": "grid", "steps": 80_000},
    "PacGAN2, grid": {"mixture": "grid", "packed": 2, "steps": 110_000, "learning_rate": 1e-3},
    "PacGAN2, grid, networks of the paper": {
        "mixture": "grid",
        "packed": 2,
        "pacgan_networks": True,
        "steps": 5_000,
        "batch_size": 100,
        "learning_rate": 1e-3,
        "beta_1": 0.8,
        "beta_2": 0.999,
        "averaging": 0.0,
        "seeds": 1,
    },
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
    "stabilised GAN, ring": {"mixture": "ring", "stabilised": True},
    "plain GAN, ring": {"mixture": "ring", "steps": 80_000},
    "PacGAN2, ring": {"mixture": "ring", "packed": 2, "steps": 110_000, "learning_rate": 1e-3},
}
DEFAULTS = adversaries.DEFAULTS | {
    "pacgan_networks": False,  # else the small ones of the study
    "batch_size": 256,  # points of each kind in a step, whether they are judged one by one or in packs
    "learning_rate": 3e-3,
    "final_share": 0.1,
    "penalties": (1.0, 1e-5),
    "penalised": 1,
    "steps": 55_000,
}

MIXTURES = {"ring": mixtures.build_ring, "grid": mixtures.build_grid}
POINTS, SCORED, DRAWS = 100_000, 2_500, 10  # to learn from; to score, as published; sets of these where one run is all
UNITS = {"modes": "modes", "high_quality": "share", "reverse_kl": "nats", "spread": "sigma"}
LATENT_SIZE = 2
WIDTH = 64
STEEPNESS = 300.0  # of the first layer of the generator, at the start
STEPS_PER_PART = 2_500  # between two states that are kept
FIRST_DRAW = 1_000  # seeds of what is scored: none of them is that of points to learn from


def build_generator():
    """Return the generator, (batch, 2) -> (batch, 2).

    Its first layer is a set of steps at random places, so steep that a sample can jump from mode to mode: a generator
    of gentle slope draws lines between them, of points that belong to none, and takes long to become steep.
    """
    first = layers.Dense(
        WIDTH,
        activation="tanh",
        kernel_initializer=keras.initializers.RandomNormal(stddev=STEEPNESS),
        bias_initializer=keras.initializers.RandomUniform(-1.5 * STEEPNESS, 1.5 * STEEPNESS),
    )
    return keras.Sequential([keras.Input((LATENT_SIZE,)), first, *_build_hidden(2), layers.Dense(2)])


def build_discriminator(packed):
    """Return the discriminator, (batch, 2 * packed) -> (batch, 1) logits: a pack of points is judged as a whole."""
    return keras.Sequential([keras.Input((2 * packed,)), *_build_hidden(3), layers.Dense(1)])


def _build_hidden(count):
    return [
        layer
        for _ in range(count)
        for layer in (layers.Dense(WIDTH, kernel_initializer="he_normal"), layers.LeakyReLU(NEGATIVE_SLOPE))
    ]


def build_pacgan_generator():
    """Return the generator of PacGAN, (batch, 2) -> (batch, 2): four layers of 400 units, normalised over the batch."""
    network = keras.Sequential([keras.Input((LATENT_SIZE,))])
    for _ in range(4):
        network.add(layers.Dense(400, use_bias=False, kernel_initializer=_build_small_normal()))
        network.add(layers.BatchNormalization(momentum=0.95))
        network.add(layers.ReLU())
    network.add(layers.Dense(2, kernel_initializer=_build_small_normal()))
    return network


def build_pacgan_discriminator(packed):
    """Return the discriminator of PacGAN, (batch, 2 * packed) -> (batch, 1) logits: three layers of 200 maxout units.

    Each unit is the largest of five linear ones. Source of maxout: Goodfellow et al. 2013.
    """
    network = keras.Sequential([keras.Input((2 * packed,))])
    for _ in range(3):
        network.add(layers.Dense(200 * 5, kernel_initializer=_build_small_normal()))
        network.add(layers.Reshape((200 * 5, 1)))
        network.add(layers.MaxPooling1D(5))
        network.add(layers.Flatten())
    network.add(layers.Dense(1, kernel_initializer=_build_small_normal()))
    return network


def _build_small_normal():
    return keras.initializers.RandomNormal(stddev=0.02)


def build_gan(run, seed):
    """Return the adversaries of a run's settings, who learn from points that are drawn with the same seed.

    The networks see points divided by the root mean square of a coordinate.
    """
    mixture, count = MIXTURES[run["mixture"]](), run["batch_size"]
    points = tf.constant(mixtures.draw_points(mixture, POINTS, seed) / find_scale(mixture))

    def draw(step):
        """Return real points, drawn with replacement, and latent points, (batch, 2) both."""
        chosen = tf.random.stateless_uniform((count,), (seed, step), 0, POINTS, tf.int32)
        latent = tf.random.stateless_normal((count, LATENT_SIZE), tf.random.fold_in((seed, step), 1))
        return tf.gather(points, chosen), latent

    def build():
        if run["pacgan_networks"]:
            return build_pacgan_generator(), build_pacgan_discriminator(run["packed"])
        return build_generator(), build_discriminator(run["packed"])

    return adversaries.Adversaries(build, draw, run, seed)


def find_scale(mixture):
    """Return the root mean square of a coordinate of the modes."""
    return np.float32(np.sqrt(np.mean(mixture.centers**2)))


def sample(gan, count, seed):
    """Return generated points, (count, 2), of latent points drawn from N(0, I) with this seed."""
    scale = find_scale(MIXTURES[gan.run["mixture"]]())
    return scale * gan.sample(models.draw_latent(count, LATENT_SIZE, seed))


def measure(label, folder):
    """Train as the run says, or draw the real data where it trains for no step; return what the points are worth."""
    return measure_run(DEFAULTS | RUNS[label], label, folder, runtime.start().seed)


def measure_run(run, label, folder, seed):
    """Return what points are worth, as a study gives it, where run has all settings; with seed 0 draw them too."""
    mixture, alone = MIXTURES[run["mixture"]](), run.get("seeds") == 1
    draws = range(FIRST_DRAW, FIRST_DRAW + (DRAWS if alone else 1))

    def score(draw, where):
        scores = [mixtures.score_modes(draw(draw_seed), mixture)._asdict() for draw_seed in draws]
        return adversaries.summarise(scores, UNITS, where)

    file = folder / adversaries.name_picture(label)
    if run["steps"] == 0:
        draw_figure(mixtures.draw_points(mixture, SCORED, FIRST_DRAW), run["mixture"], file)
        return score(lambda draw_seed: mixtures.draw_points(mixture, SCORED, draw_seed), label)

    gan, found = build_gan(run, seed), {}

    def look(step):
        if step in run["looked_at"]:
            found.update(score(lambda draw_seed: sample(gan, SCORED, draw_seed), f"{label}, step {step}"))

    seconds = adversaries.train(gan, folder, STEPS_PER_PART, look)
    if seed == 0:
        draw_figure(sample(gan, SCORED, FIRST_DRAW), run["mixture"], file)
    found |= score(lambda draw_seed: sample(gan, SCORED, draw_seed), label)
    return found | adversaries.tell_costs(gan, seconds, label, alone)


def draw_figure(points, name, file):
    """Draw points, (count, 2), into a PNG file, over the whole of the mixture of that name."""
    figure, ax = plt.subplots(figsize=(2.6, 2.6), dpi=220, layout="constrained")
    ax.scatter(*points.T, s=2, alpha=0.3, linewidths=0)
    reach = 1.25 * np.abs(MIXTURES[name]().centers).max()
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    figure.savefig(file)
    plt.close(figure)
