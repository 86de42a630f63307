"""A small convolutional GAN on MNIST, and one that draws the digit asked for: how good, and how good after how long.

The networks are the book's own, with the penalty on the discriminator's slope and a learning rate that falls to zero.
Settings were chosen by distances to the validation digits and by eye; what is measured here is against the test digits,
as many as the validation split has. Two reference rows frame the scores: validation digits in the place of samples, and
a Gaussian around the mean of each class. What the GAN is compared with has a study of its own, `dcgan_tutorial`.
"""

import time
from functools import partial

import keras
import numpy as np

from helpers import data, metrics, models, networks, scorecard, training
from helpers.book import runtime
from studies.pictures import draw_grid

SEEDS = 1
SELECTION = "validation"
PROFILE = "full"
RUNS = {
    "references": {},
    "GAN": {
        "conditional": False,
        "channels": 32,
        "batch_size": 64,
        "learning_rate": 2e-3,
        "beta_1": 0.0,
        "beta_2": 0.99,
        "penalty_weight": 0.5,
        "steps": 6_000,
    },
    "conditional GAN": {
        "conditional": True,
        "channels": 32,
        "batch_size": 64,
        "learning_rate": 2e-3,
        "beta_1": 0.0,
        "beta_2": 0.99,
        "penalty_weight": 0.5,
        "steps": 6_000,
    },
}

LATENT_SIZE = 100
EPOCHS = 40  # parts of the training, not passes
LOOKED_AT = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32, 36, 40)  # the epochs after which the distance is taken
PARTS = 10  # of the images, each left out once for the standard errors
UNITS = {"frechet": "squared feature units", "told_apart": "share of pairs"}  # the other scores are shares


class Stopwatch(keras.callbacks.Callback):
    """Takes the seconds of one core that each epoch costs, and looks at the model after some; looking does not count.

    look: a function without arguments. seconds: a list, one for each epoch; seen: {epoch: what look returned}.
    """

    def __init__(self, look):
        super().__init__()
        self.look, self.seconds, self.seen = look, [], {}

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.begun = time.process_time()

    def on_epoch_end(self, epoch, logs=None):
        """Stop the clock; look."""
        self.seconds.append(time.process_time() - self.begun)
        if epoch + 1 in LOOKED_AT:
            self.seen[epoch + 1] = self.look()


def measure(label, folder):
    """Measure the two references, or train a GAN and measure its cost, its scores, and its distance on the way."""
    settings, run = runtime.start(), RUNS[label]
    digits = data.load(settings.profile)
    scorer = scorecard.Scorer(digits)
    if label == "references":
        return measure_references(scorer, digits, folder)

    keras.utils.set_random_seed(settings.seed)
    gan, asked = build_gan(run, settings.seed), None
    latent = models.draw_latent(scorer.count, gan.latent_size, seed=4)
    generate = partial(gan.generate, latent)
    if run["conditional"]:
        asked = digits.validation.labels[: scorer.count]  # in the shares of the data
        generate = partial(gan.generate, latent, asked)
    real = scorer.extract(digits.test.images[: scorer.count])

    def look():
        fake = scorer.extract(generate())
        return jackknife(partial(take_distance, real, fake), scorer.count)["frechet"]

    stopwatch = Stopwatch(look)
    train(gan, digits, run, stopwatch)

    found = name_scores(label, score(scorer, digits, generate(), asked))
    parameters = gan.generator.count_params() + gan.discriminator.count_params()
    found[f"parameters/{label}"] = (parameters, "parameters", 0.0)
    seconds = stopwatch.seconds
    spread = np.std(seconds)  # of an epoch's seconds
    found[f"seconds/{label}"] = (np.sum(seconds), "s of one core", spread * len(seconds) ** 0.5)
    for epoch, (distance, error) in stopwatch.seen.items():
        point = f"{label}, step {epoch * run['steps'] // EPOCHS}"
        found[f"seconds/{point}"] = (np.sum(seconds[:epoch]), "s of one core", spread * epoch**0.5)
        found[f"frechet/{point}"] = (distance, UNITS["frechet"], error)
    draw_grid(draw_samples(gan, run), folder / f"{label.replace(' ', '_')}.png")
    return found


def measure_references(scorer, digits, folder):
    """Return the scores of validation digits and of the trivial baseline, and draw some of them."""
    rows = {
        "real digits": digits.validation.images[: scorer.count],
        "class Gaussians": data.draw_class_gaussians(digits.train, digits.validation.labels[: scorer.count], seed=4),
    }
    right = scorer.classify(digits.test.images) == digits.test.labels
    error = np.std(right) / len(right) ** 0.5
    found = {"accuracy/classifier": (scorer.accuracy, "share of test digits", error)}
    for name, images in rows.items():
        found |= name_scores(name, score(scorer, digits, images))
        draw_grid(images[:100], folder / f"{name.replace(' ', '_')}.png")
    return found


def build_gan(run, seed):
    """Return an untrained models.GAN, or a models.ConditionalGAN, as the run says."""
    discriminator = networks.build_convolutional_discriminator(run["channels"])
    if not run["conditional"]:
        generator = networks.build_convolutional_generator(LATENT_SIZE, run["channels"])
        return models.GAN(generator, discriminator, seed, run["penalty_weight"])
    generator = networks.build_convolutional_generator(LATENT_SIZE + 10, run["channels"])
    discriminator = networks.give_each_class_a_logit(discriminator)
    return models.ConditionalGAN(generator, discriminator, seed, run["penalty_weight"])


def train(gan, digits, run, stopwatch):
    """Train either kind of GAN on the training digits."""
    recipe = {name: run[name] for name in ("batch_size", "learning_rate", "beta_1", "beta_2")}
    sizes = {"epochs": EPOCHS, "steps_per_epoch": run["steps"] // EPOCHS}
    training.train_gan(gan, digits, **recipe, **sizes, callbacks=[stopwatch])


def draw_samples(gan, run):
    """Return 100 images, (100, 28, 28, 1); of a conditional GAN ten of each digit, a row from the same ten noises."""
    if not run["conditional"]:
        return gan.sample(100, seed=2)
    return gan.generate(np.tile(models.draw_latent(10, LATENT_SIZE, seed=2), (10, 1)), np.repeat(np.arange(10), 10))


def name_scores(label, scores):
    """Return scores with a label to their names, "frechet/GAN"."""
    return {f"{name}/{label}": entry for name, entry in scores.items()}


def score(scorer, digits, images, asked=None):
    """Return {name: (value, unit, standard error)} of images, (scorer.count, 28, 28, 1), against the test digits.

    asked: the digits that the images should show, (scorer.count,), where a model has been asked for some.
    """
    real, labels = digits.test.images[: scorer.count], scorer.classify(images)
    real_features, features = scorer.extract(real), scorer.extract(images)  # (count, 64)

    def take(chosen):
        return {
            **take_distance(real_features, features, chosen),
            "told_apart": metrics.tell_apart(real[chosen], images[chosen]),
            "coverage": metrics.measure_coverage(real_features[chosen], features[chosen]),
            **({} if asked is None else {"as_asked": np.mean(labels[chosen] == asked[chosen])}),
        }

    found = jackknife(take, scorer.count)
    return {name: (value, UNITS.get(name, "share"), error) for name, (value, error) in found.items()}


def take_distance(real, fake, chosen):
    """Return the Frechet distance of the chosen features, of (count, 64) each, by its name."""
    return {"frechet": metrics.frechet_distance(real[chosen], fake[chosen])}


def jackknife(take, count):
    """Return {name: (value, standard error over images)} of what take gives for a mask of the chosen, (count,).

    The error is that of a jackknife over parts, each left out once. Source: Efron and Stein 1981.
    """
    part = np.arange(count) % PARTS
    without = [take(part != left_out) for left_out in range(PARTS)]
    errors = {name: np.std([one[name] for one in without]) * (PARTS - 1) ** 0.5 for name in without[0]}
    return {name: (value, errors[name]) for name, value in take(part >= 0).items()}
