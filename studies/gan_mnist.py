"""GANs on MNIST that are told nothing, clusters, or the digit asked for: how good, and how good after how long.

A GAN that is told nothing draws strokes as sharp as those of digits, but many shapes between two digits. So a second
one is told more, though nothing that a person had to write: k-means puts the training images into 64 clusters by
their pixels, and the cluster is to this GAN what the digit is to the conditional one. For samples the clusters are
drawn in their shares, so that nothing is asked for. The idea is that of Liu et al. 2020, who cluster what the
discriminator sees. All three are one model: to be told the same label always is to be told nothing.

Scores are against 2,000 test digits. Two reference rows frame them: validation digits in the place of samples, and a
Gaussian around the mean of each class. What the GAN is compared with has a study of its own, `dcgan_tutorial`.

Settings were chosen by scores against 2,000 validation digits, from few and short trainings, one seed each:
- A profile of a step (batch 64) decided what to time: with the book's networks the discriminator takes two thirds of
  it, its penalty a fifth of all, Adam a seventh. Penalty in every fourth step, and patches in the place of the
  convolution at half the size, save three tenths of a step. A generator with depth to space in the place of its
  transposed convolution saves a tenth of its own part, one with upsampling takes nearly twice as long: it stayed.
- Patches after 450 steps: Frechet distance 4.8, coverage .36; the book's discriminator after 350 steps, which
  take as long by the profile: 6.1 and .27. Both with the pairing loss of R3GAN and penalties on real and generated
  images.
- The loss of the GAN chapter, penalty on real images, after as many steps: 4.0 and .36. So that one stayed.
- Told clusters, after 450 and 900 steps: 1.1 and .83, coverage .74 and .77, 77% and 80% read with confidence. Told
  nothing, with the pairing loss: 4.8 and 2.8, coverage .36 and .47, 51% and 57%.
- A running average of the generator's weights is better on the way (1.1 against 1.9 after 450 steps) and no better at
  the end (.83 against .85), where the learning rate has fallen to zero: left out.
- This code, told clusters, 2,400 steps on a busy machine: .53, .88 and 83% after 198 s, with seed 0; 1.0 after 53 s.
  The share read with confidence was still rising, and so there are 6,000 steps. Its memorisation ratio was 1.02: no
  copies, though a cluster has some eight hundred images.
Not tried: other numbers of clusters, batches, channels and sizes of the noise.
"""

import time
from functools import partial

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from scipy.special import softmax
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA

from helpers import data, losses, metrics, models, networks, scorecard, training
from helpers.book import runtime
from helpers.checks import IMAGE_SHAPE
from studies.pictures import draw_grid

SEEDS = 3
SELECTION = "validation"
PROFILE = "full"
RUNS = {
    "references": {"seeds": 1},
    "GAN": {"told": "nothing", "channels": 32, "steps": 6_000},
    "GAN told clusters": {"told": "clusters", "channels": 32, "steps": 6_000},
    "conditional GAN": {"told": "digits", "channels": 32, "steps": 6_000},
}

RECIPE = {"batch_size": 64, "learning_rate": 2e-3, "beta_1": 0.0, "beta_2": 0.99}
PENALTY_WEIGHT = 0.5
LATENT_SIZE = 64
CLUSTERS = 64
DIRECTIONS = 30  # of the most variance, in which the clusters are sought
PENALTY_EVERY = 4  # steps
EPOCHS = 120  # parts of the training, not passes
LOOKED_AT = (1, 2, 3, 5, 8, 12, 18, 24, 36, 48, 60, 72, 84, 96, 108, 120)  # epochs, for the distance
SHOWN = (0, 1, 2, 3, 5, 10, 30, 120)  # epochs, for pictures of the same latent vectors
PARTS = 10  # of the images, each left out once for the standard errors
CONFIDENT = 0.9  # a digit is read with confidence if the classifier gives it this probability or more
UNITS = {"frechet": "squared feature units", "told_apart": "share of pairs"}  # the other scores are shares


class LazyGAN(models.ConditionalGAN):
    """A ConditionalGAN with its penalty in every fourth step only, with four times the weight.

    Source: Karras et al. 2020, section 3.1, who take it in every sixteenth step.
    """

    def _update_discriminator(self, real, fake, judge):
        """Update the discriminator alone; return its loss without the penalty and its logits before the update."""
        weight = self.penalty_weight * PENALTY_EVERY
        *values, gradients = tf.cond(
            self.discriminator_optimizer.iterations % PENALTY_EVERY == 0,
            lambda: self._differentiate(real, fake, judge, weight),
            lambda: self._differentiate(real, fake, judge, 0.0),
        )
        self.discriminator_optimizer.apply(gradients, self.discriminator.trainable_variables)
        return tuple(values)

    def _differentiate(self, real, fake, judge, penalty_weight):
        """Return the discriminator's loss without the penalty, its logits, and the gradients of loss and penalty."""
        with tf.GradientTape() as tape:
            with tf.GradientTape() as input_tape:
                input_tape.watch(real)
                real_logits = judge(real, training=True)  # (batch, 1)
            fake_logits = judge(fake, training=True)  # (batch, 1)
            d_loss = losses.discriminator_loss(real_logits, fake_logits)
            total = d_loss
            if penalty_weight:
                slopes = input_tape.gradient(real_logits, real)  # (batch, 28, 28, 1)
                total += penalty_weight * losses.gradient_penalty(slopes)
        return d_loss, real_logits, fake_logits, tape.gradient(total, self.discriminator.trainable_variables)


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
    settings = runtime.start()
    digits = data.load(settings.profile)
    if label == "references":
        return measure_references(digits, folder)
    return measure_gan(label, RUNS[label], digits, settings.seed, folder, build_gan)


def measure_gan(label, run, digits, seed, folder, build):
    """Train a GAN; return its cost, its scores, and the curve on the way there; draw its samples on that way.

    build: what makes it untrained, from the run, how many labels there are, and the seed.
    """
    scorer, begun = scorecard.Scorer(digits), time.process_time()
    labels = find_labels(digits.train, run["told"], seed)
    labelling = time.process_time() - begun
    keras.utils.set_random_seed(seed)
    gan = build(run, 1 + int(labels.max()), seed)
    latent = models.draw_latent(scorer.count, gan.latent_size, seed=4)
    asked = labels[: scorer.count]  # in the shares of the data
    shown_latent, shown_labels = choose_shown(run, gan.latent_size, asked)
    real = scorer.extract(digits.test.images[: scorer.count])

    def look():
        fake = scorer.extract(gan.generate(latent, asked))
        return jackknife(partial(take_distance, real, fake), scorer.count)["frechet"]

    stopwatch = Stopwatch(look)
    recorder = training.SampleRecorder(lambda noise: gan.generate(noise, shown_labels), shown_latent, SHOWN)
    train(gan, digits, labels, run, [stopwatch, recorder])

    for epoch, images in recorder.frames.items():
        draw_grid(images, folder / f"{label.replace(' ', '_')}_step_{epoch * run['steps'] // EPOCHS}.png")
    draw_grid(images, folder / f"{label.replace(' ', '_')}.png")
    told_digits = asked if run["told"] == "digits" else None
    parameters = gan.generator.count_params() + gan.discriminator.count_params()
    return {
        **name_scores(label, score(scorer, digits, gan.generate(latent, asked), told_digits)),
        f"parameters/{label}": (parameters, "parameters", 0.0),
        **report_curve(label, run, stopwatch, labelling),
    }


def report_curve(label, run, stopwatch, labelling):
    """Return the seconds of a training, of all and until each look, and the distances seen there.

    labelling: the seconds before it, for finding what the GAN is told.
    """
    spread = np.std(stopwatch.seconds)  # of an epoch's seconds
    seconds = labelling + np.cumsum(stopwatch.seconds)  # after each epoch
    found = {f"seconds/{label}": (seconds[-1], "s of one core", spread * len(seconds) ** 0.5)}
    for epoch, (distance, error) in stopwatch.seen.items():
        point = f"{label}, step {epoch * run['steps'] // EPOCHS}"
        found[f"seconds/{point}"] = (seconds[epoch - 1], "s of one core", spread * epoch**0.5)
        found[f"frechet/{point}"] = (distance, UNITS["frechet"], error)
    return found


def measure_references(digits, folder):
    """Return the scores of validation digits and of the trivial baseline, and draw some of them."""
    scorer = scorecard.Scorer(digits)
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


def find_labels(train, told, seed):
    """Return what a GAN is told of each training image, (count,), counted from 0: one label for all is nothing."""
    if told == "digits":
        return train.labels
    if told == "clusters":
        return find_clusters(train.images, seed)
    return np.zeros_like(train.labels)


def find_clusters(images, seed):
    """Return the number of the cluster, int64 (count,), that k-means puts each of the images in, (count, 28, 28, 1).

    It looks at their principal components alone, and never at what digit they show.
    """
    flat = images.reshape(len(images), -1)
    components = PCA(DIRECTIONS, random_state=seed, svd_solver="randomized").fit_transform(flat)
    means = MiniBatchKMeans(CLUSTERS, random_state=seed, n_init=1, batch_size=2048)
    return means.fit_predict(components).astype(np.int64)


def build_gan(run, classes, seed):
    """Return an untrained LazyGAN that is told one of so many labels."""
    generator = networks.build_convolutional_generator(LATENT_SIZE + classes, run["channels"])
    return LazyGAN(generator, build_discriminator(run["channels"], classes), seed, PENALTY_WEIGHT)


def build_discriminator(channels, classes):
    """Return a discriminator, (batch, 28, 28, 1) -> (batch, classes), that looks at overlapping patches at once.

    Beside networks.build_convolutional_discriminator it has no layer at half the size, where most seconds went.
    """
    return keras.Sequential(
        [
            keras.Input(IMAGE_SHAPE),
            layers.Conv2D(2 * channels, 6, strides=4, padding="same", use_bias=False),  # (batch, 7, 7, 2 * channels)
            layers.LeakyReLU(networks.NEGATIVE_SLOPE),
            layers.Conv2D(2 * channels, 3, padding="same", use_bias=False),  # (batch, 7, 7, 2 * channels)
            layers.LeakyReLU(networks.NEGATIVE_SLOPE),
            layers.Flatten(),
            layers.Dense(128),
            layers.LeakyReLU(networks.NEGATIVE_SLOPE),
            layers.Dense(classes),
        ],
        name="discriminator",
    )


def train(gan, digits, labels, run, callbacks):
    """Train a GAN on the training digits, each under its label, (count,)."""
    sizes = {"epochs": EPOCHS, "steps_per_epoch": run["steps"] // EPOCHS}
    labelled = digits._replace(train=digits.train._replace(labels=labels))
    training.train_gan(gan, labelled, **RECIPE, **sizes, callbacks=callbacks)


def choose_shown(run, latent_size, asked):
    """Return noise, (100, latent_size), and labels, (100,), for a picture of ten rows.

    Told digits, a GAN shows ten of each, a row from the same ten noises; else the labels are the first of asked.
    """
    if run["told"] == "digits":
        return np.tile(models.draw_latent(10, latent_size, seed=2), (10, 1)), np.repeat(np.arange(10), 10)
    return models.draw_latent(100, latent_size, seed=2), np.resize(asked, 100)


def name_scores(label, scores):
    """Return scores with a label to their names, "frechet/GAN"."""
    return {f"{name}/{label}": entry for name, entry in scores.items()}


def score(scorer, digits, images, asked=None):
    """Return {name: (value, unit, standard error)} of images, (scorer.count, 28, 28, 1), against the test digits.

    asked: the digits that the images should show, (scorer.count,), where a model has been asked for some.
    """
    real = digits.test.images[: scorer.count]
    real_features, features = scorer.extract(real), scorer.extract(images)  # (count, 64)
    logits = scorer.classifier.predict(images, batch_size=512, verbose=0)  # (count, 10)
    labels, confidence = logits.argmax(axis=1), softmax(logits, axis=1).max(axis=1)  # (count,) each

    def take(chosen):
        return {
            **take_distance(real_features, features, chosen),
            "told_apart": metrics.tell_apart(real[chosen], images[chosen]),
            "coverage": metrics.measure_coverage(real_features[chosen], features[chosen]),
            "confident": np.mean(confidence[chosen] >= CONFIDENT),
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
