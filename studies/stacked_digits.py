"""A thousand modes: three digits of MNIST as the channels of one image, and how many of the triples a GAN draws.

The data are made on the spot: for each image of a step three training digits are drawn. A classifier reads the three
digits of a generated image, and the image counts for the mode of that triple; so it was published, with 26,000 images
and the reverse KL divergence over modes. So many fair draws miss none: a mode has a chance of 5e-12 to be left out. The
reading has errors, and those alone put images into modes that were never drawn. How many, three rows of real digits
say, for which the triples are known: stacks of test digits, which neither the GAN nor the classifier has trained on;
stacks of a hundred of the triples; stacks of a single one. There the divergence is the better witness.
The networks are dense, and those of the three methods do not know that the channels are three of a kind; one run more
of the stabilised GAN is told so, by weights that the channels share. The methods share networks, optimiser, batch and
about the seconds of one core, in which those without penalties take more steps. Settings were tried for the stabilised
GAN, in four runs of 2,000 steps on seed 100, by the modes of images from other noise: penalties that fall were worse
than constant ones, a layer of convolution no better for its seconds. The others got the same and were not tuned; the
run with shared weights was not tried before.
Source: Metz et al. 2017, section 3.3.1; Srivastava et al. 2017, table 2; Lin et al. 2018, table 2, and their code,
https://github.com/fjxmlzn/PacGAN, whose log_metrics counts as is done here.
"""

import math

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from helpers import data, models, plotting, scorecard
from helpers.book import runtime
from helpers.networks import NEGATIVE_SLOPE
from studies import adversaries, mixtures

SEEDS = 3
SELECTION = "validation"  # images from other noise; the test digits have no part in training or choice
PROFILE = "full"
RUNS = {
    "real digits": {"triples": 1_000, "seeds": 1},
    "real digits, 100 triples": {"triples": 100, "seeds": 1},
    "real digits, 1 triple": {"triples": 1, "seeds": 1},
    "stabilised GAN, shared weights": {"stabilised": True, "shared": True, "steps": 24_000},
    "stabilised GAN": {"stabilised": True, "steps": 20_000, "seeds": 1},
    "PacGAN2": {"packed": 2, "steps": 26_000, "seeds": 1},
    "plain GAN": {"steps": 28_000, "seeds": 1},
}
DEFAULTS = adversaries.DEFAULTS | {
    "shared": False,  # weights between the three digits
    "batch_size": 64,
    "learning_rate": 2e-3,
    "beta_1": 0.0,
    "penalties": (0.5, 0.5),
}

MODES, DIGITS = 1_000, 3
SCORED, DRAWS = 26_000, 3  # images to score, as published; sets of these where one run is all
CONFIDENT = 0.9  # the probability from which a digit counts as read with confidence
LATENT_SIZE = 64
GENERATOR_WIDTHS, DISCRIMINATOR_WIDTHS = (256, 512), (384, 256)
SHARED_WIDTHS, CODE_SIZE = (256, 64), 32
STEPS_PER_PART = 2_000  # between two states that are kept
FIRST_DRAW = 1_000  # seeds of what is scored
UNITS = {
    "modes": "modes",
    "reverse_kl": "nats",
    "dependence": "nats",
    "confident": "share of digits",
    "true_modes": "modes",
    "true_reverse_kl": "nats",
    "read_right": "share of images",
}


def build_generator(shared):
    """Return the generator, (batch, 64) -> (batch, 28, 28, 3) in [0, 1]; it ends as those of the book do.

    shared: whether each digit is drawn by the same weights, from a code of its own.
    """
    network = keras.Sequential([keras.Input((LATENT_SIZE,))])
    if shared:
        _add_hidden(network, SHARED_WIDTHS[:1])
        network.add(layers.Dense(DIGITS * CODE_SIZE))
        network.add(layers.Reshape((DIGITS, CODE_SIZE)))
        _add_hidden(network, SHARED_WIDTHS[:1])  # (batch, 3, width)
        network.add(layers.Dense(14 * 14))
        network.add(layers.Reshape((DIGITS, 14, 14)))
        network.add(layers.Permute((2, 3, 1)))  # (batch, 14, 14, 3)
    else:
        _add_hidden(network, GENERATOR_WIDTHS)
        network.add(layers.Dense(14 * 14 * DIGITS))
        network.add(layers.Reshape((14, 14, DIGITS)))
    network.add(layers.UpSampling2D(2, interpolation="bilinear"))  # (batch, 28, 28, 3)
    network.add(layers.Activation("sigmoid"))
    return network


def build_discriminator(packed, shared):
    """Return the discriminator, (batch, 28, 28, 3 * packed) -> (batch, 1) logits.

    shared: whether each digit is looked at by the same weights, before all are judged as a whole.
    """
    network = keras.Sequential([keras.Input((28, 28, DIGITS * packed))])
    if shared:
        network.add(layers.Permute((3, 1, 2)))
        network.add(layers.Reshape((DIGITS * packed, 28 * 28)))
        _add_hidden(network, SHARED_WIDTHS)  # (batch, 3 * packed, width)
        network.add(layers.Flatten())
        _add_hidden(network, SHARED_WIDTHS[:1])
    else:
        network.add(layers.Flatten())
        _add_hidden(network, DISCRIMINATOR_WIDTHS)
    network.add(layers.Dense(1))
    return network


def _add_hidden(network, widths):
    for width in widths:
        network.add(layers.Dense(width, kernel_initializer="he_normal"))
        network.add(layers.LeakyReLU(NEGATIVE_SLOPE))


def build_gan(images, run, seed):
    """Return the adversaries of a run's settings, who learn from stacks of images, (count, 28, 28, 1)."""
    pool, batch = tf.constant(images[..., 0]), run["batch_size"]  # (count, 28, 28)

    def draw(step):
        """Return real stacks, (batch, 28, 28, 3), and as many latent vectors, (batch, 64)."""
        chosen = tf.random.stateless_uniform((batch, DIGITS), (seed, step), 0, len(pool), tf.int32)
        latent = tf.random.stateless_normal((batch, LATENT_SIZE), tf.random.fold_in((seed, step), 1))
        return tf.transpose(tf.gather(pool, chosen), (0, 2, 3, 1)), latent

    def build():
        return build_generator(run["shared"]), build_discriminator(run["packed"], run["shared"])

    return adversaries.Adversaries(build, draw, run, seed)


def stack_digits(split, triples, count, seed):
    """Return stacks of real digits, (count, 28, 28, 3), and the digits that they show, (count, 3).

    split: a data.Split. triples: of how many different triples the stacks are, all equally likely but for 1,000, where
    each digit is drawn on its own, in the shares of the split.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(split.images), size=(count, DIGITS))
    if triples < MODES:
        kept = rng.choice(MODES, size=triples, replace=False)
        wanted = np.stack(np.unravel_index(rng.choice(kept, size=count), (10,) * DIGITS), axis=1)  # (count, 3)
        by_digit, counts = np.argsort(split.labels, kind="stable"), np.bincount(split.labels)
        chosen = by_digit[(np.cumsum(counts) - counts)[wanted] + rng.integers(counts[wanted])]
    return np.moveaxis(split.images[chosen][..., 0], 1, -1), split.labels[chosen]


def read_stacks(classifier, stacks):
    """Return the digits read in stacks, (count, 28, 28, 3), and the probability of each reading, (count, 3) both."""
    images = np.moveaxis(stacks, -1, 1).reshape(-1, 28, 28, 1)
    chances = tf.nn.softmax(classifier.predict(images, batch_size=500, verbose=0)).numpy()  # (3 * count, 10)
    return chances.argmax(axis=1).reshape(-1, DIGITS), chances.max(axis=1).reshape(-1, DIGITS)


def count_triples(digits):
    """Return how often each triple occurs, (1000,), among digits, (count, 3)."""
    return np.bincount(np.ravel_multi_index(digits.T, (10,) * DIGITS), minlength=MODES)


def measure_dependence(counts):
    """Return how much of the reverse KL divergence of counts, (1000,), is that the three digits hang together, in nats.

    The rest is that single digits are not equally frequent: a sum of three divergences, one for each place.
    Source: the chain rule of the KL divergence, Cover and Thomas 2006, theorem 2.5.3.
    """
    cube = counts.reshape((10,) * DIGITS)
    places = [cube.sum(axis=tuple({0, 1, 2} - {place})) for place in range(DIGITS)]  # (10,) each
    return mixtures.measure_reverse_kl(counts) - sum(map(mixtures.measure_reverse_kl, places))


def score(classifier, stacks, digits=None):
    """Return the measures of stacks, (count, 28, 28, 3), by name; with more where their digits, (count, 3), are known.

    The reverse KL divergence is KL(q || p), q the shares of the triples among the stacks and p uniform.
    """
    read, chances = read_stacks(classifier, stacks)
    counts = count_triples(read)
    found = {"modes": np.sum(counts > 0), "reverse_kl": mixtures.measure_reverse_kl(counts)}
    found["dependence"] = measure_dependence(counts)
    found["confident"] = np.mean(chances >= CONFIDENT)
    if digits is not None:
        known = count_triples(digits)
        found |= {"true_modes": np.sum(known > 0), "true_reverse_kl": mixtures.measure_reverse_kl(known)}
        found["read_right"] = np.mean(np.all(read == digits, axis=1))
    return found


def measure(label, folder):
    """Stack real digits, or train as the run says and draw images; return how many modes there are, and the costs."""
    settings, run = runtime.start(), DEFAULTS | RUNS[label]
    digits, alone = data.load(settings.profile), run.get("seeds") == 1
    classifier, file = scorecard.Scorer(digits).classifier, folder / adversaries.name_picture(label)
    draws = range(FIRST_DRAW, FIRST_DRAW + (DRAWS if alone else 1))
    if "triples" in run:
        stacks = [stack_digits(digits.test, run["triples"], SCORED, seed) for seed in draws]
        draw_stacks(stacks[0][0][:100], file)
        return adversaries.summarise([score(classifier, *one) for one in stacks], UNITS, label)

    gan = build_gan(digits.train.images, run, settings.seed)
    seconds = adversaries.train(gan, folder, STEPS_PER_PART)
    if settings.seed == 0:
        draw_stacks(sample(gan, 100, FIRST_DRAW), file)
    found = adversaries.summarise([score(classifier, sample(gan, SCORED, seed)) for seed in draws], UNITS, label)
    return found | adversaries.tell_costs(gan, seconds, label, alone)


def sample(gan, count, seed):
    """Return generated stacks, (count, 28, 28, 3), of latent vectors drawn from N(0, I) with this seed."""
    latent = models.draw_latent(count, LATENT_SIZE, seed)
    return np.concatenate([gan.sample(part) for part in np.array_split(latent, math.ceil(count / 1_000))])


def draw_stacks(stacks, file):
    """Draw stacks, (100, 28, 28, 3) in [0, 1], ten by ten into a PNG file, the three digits in red, green and blue."""
    channels = [plotting.tile_images(stacks[..., [channel]], columns=10) for channel in range(DIGITS)]
    plt.imsave(file, np.stack(channels, axis=-1).repeat(2, axis=0).repeat(2, axis=1))
