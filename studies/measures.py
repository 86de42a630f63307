"""Which measures of samples reject what they must: one table of good and bad samples, and the classifiers they need.

Rows are images that have an order everybody agrees on, TIERS: real digits before a good GAN, that before an early one
and a VAE, those before ten class means and Gaussians around them, those before per-pixel noise, the mean image, one
image again and again, and a collapsed GAN. Copies of training images are as good as real ones to all measures but one,
whose task they are; one copy in ten is as bad a GAN as none, to all others. Each measure is taken CLASSIFIERS times:
with another classifier, other halves for the one that tells two sets of images apart, other halves of the held-out
images for the one that looks for copies. A gap between two rows is taken by pairs, its standard error is that over the
five. For each step down, the record holds the gap that is smallest in standard errors.

A measure passes if no gap is against it by three standard errors, on either data set. The Frechet distance passes and
sees every gap by three; with the memorisation ratio, for copies, it is the smallest set that does. Two others pass, of
which the scorecard has one: how well samples are told from real digits sees best what a good GAN still lacks. Coverage
does not pass: it ranks variety, and noise has more of it than ten means. The scorecard has it for that alone. The
weights of the first classifier are shipped.
"""

import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors

from helpers import data, metrics, models, networks, plotting, scorecard, training
from helpers.book import runtime

SEEDS = 1  # of the samples: the spread is that over the classifiers
SELECTION = "validation"
WEIGHTS = ("classifier_digits.npz", "classifier_mnist.npz")  # one from each run; `helpers.scorecard` loads them
RUNS = {
    "digits": {
        "profile": "quick",
        "weights": "classifier_digits.npz",
        "network": "dense",
        "gan_steps": 4_000,
        "vae_steps": 2_400,
        "classifier_epochs": 40,
    },
    "MNIST": {
        "profile": "full",
        "weights": "classifier_mnist.npz",
        "network": "convolutional",
        "gan_steps": 4_000,
        "vae_steps": 5_000,
        "classifier_epochs": 3,
    },
}
CLASSIFIERS = 5
LATENT_SIZE = 100
STEPS_PER_EPOCH = 100
EARLY = 4  # epochs of the GAN: a tenth of its training
COLLAPSED = 5  # epochs without the penalty, with Adam's own beta_1
RECIPE = {"batch_size": 64, "learning_rate": 2e-3, "steps_per_epoch": STEPS_PER_EPOCH}
CONFIDENT = 0.9  # the probability from which on a classifier is sure of a digit
NEIGHBOURS = 5

NETWORKS = {
    "dense": (networks.build_dense_generator, networks.build_dense_discriminator),
    "convolutional": (networks.build_convolutional_generator, networks.build_convolutional_discriminator),
}

TIERS = (
    ("real digits",),
    ("GAN",),
    ("GAN, early", "VAE"),
    ("class means", "class Gaussians"),
    ("per-pixel noise", "mean image", "one image", "GAN, collapsed"),
)
COPIES = "copies of training images"
TENTH = "GAN, one copy in ten"
# The sign makes more better.
MEASURES = {
    "frechet": -1,
    "kernel distance": -1,
    "precision": 1,
    "recall": 1,
    "density": 1,
    "coverage": 1,
    "confident": 1,
    "told apart": -1,
    "memorisation": 1,
}
UNITS = {  # the others are shares
    "frechet": "squared feature units",
    "kernel distance": "cubed feature units",
    "density": "ratio",
    "told apart": "share of pairs",
    "memorisation": "ratio",
}


def measure(label: str, folder: Path) -> dict[str, tuple[float, str, float]]:
    """Return each measure of each row, the gaps between tiers, the accuracy; leave a picture and weights."""
    runtime.start()
    run = RUNS[label]
    digits = data.load(run["profile"])
    rows = keep(folder / "rows", partial(draw_rows, digits, run))
    draw_table(rows, folder / f"{label}.png")
    classifiers = [
        keep(folder / f"classifier-{seed}", partial(train_classifier, digits, run, seed)) for seed in range(CLASSIFIERS)
    ]
    np.savez_compressed(folder / run["weights"], **classifiers[0])
    found = [measure_rows(digits, rows, weights, seed, folder) for seed, weights in enumerate(classifiers)]
    values = {name: np.array([one[name] for one in found]) for name in found[0]}  # (CLASSIFIERS,) each
    return summarise(values, label)


def summarise(values: dict[str, np.ndarray], label: str) -> dict[str, tuple[float, str, float]]:
    """Return the entries of a record: "measure/row", and "gap i/measure" for the step from tier i - 1 to tier i."""

    def entry(taken: np.ndarray, unit: str) -> tuple[float, str, float]:
        return float(taken.mean()), unit, float(taken.std(ddof=1) / len(taken) ** 0.5)

    found = {f"{name}, {label}": entry(taken, UNITS.get(name.split("/")[0], "share")) for name, taken in values.items()}
    for measure, sign in MEASURES.items():
        unit = UNITS.get(measure, "share")
        for step, (better, worse) in enumerate(itertools.pairwise(TIERS), start=1):
            pairs = itertools.product(better, worse)
            gaps = [sign * (values[f"{measure}/{one}"] - values[f"{measure}/{other}"]) for one, other in pairs]
            found[f"gap {step}/{measure}, {label}"] = entry(min(gaps, key=count_errors), unit)
        for step, better, worse in (("copies", TIERS[0][0], COPIES), ("tenth", TIERS[1][0], TENTH)):
            gap = sign * (values[f"{measure}/{better}"] - values[f"{measure}/{worse}"])
            found[f"gap {step}/{measure}, {label}"] = entry(gap, unit)
    return found


def count_errors(gap: np.ndarray) -> float:
    """Return the mean of a gap, (CLASSIFIERS,), in its standard errors; infinite where all five agree on one."""
    error = gap.std(ddof=1) / len(gap) ** 0.5
    return float(gap.mean() / error) if error else float(np.copysign(np.inf, gap.mean()) if gap.mean() else 0.0)


def draw_rows(digits: data.Digits, run: dict) -> dict[str, np.ndarray]:
    """Return the images of each row, (count, 28, 28, 1) each, in the order of the tiers; those with copies last."""
    count = min(len(digits.validation.images), len(digits.test.images), scorecard.MOST)
    labels, train, copied = digits.validation.labels[:count], digits.train, np.random.default_rng(CLASSIFIERS)
    mean = train.images.mean(axis=0)
    class_means = np.stack([train.images[train.labels == digit].mean(axis=0) for digit in range(10)])
    gan, early = train_gan(digits, run, labels)
    copies = train.images[copied.choice(len(train.images), count, replace=False)]
    return {
        "real digits": digits.validation.images[:count],
        "GAN": gan,
        "GAN, early": early,
        "VAE": train_vae(digits, run).sample(count, seed=4),
        "class means": class_means[labels],
        "class Gaussians": data.draw_class_gaussians(train, labels, seed=3),
        "per-pixel noise": data.draw_binary(np.broadcast_to(mean, (count, *mean.shape)), seed=5),
        "mean image": np.repeat(mean[None], count, axis=0),
        "one image": np.repeat(digits.validation.images[:1], count, axis=0),
        "GAN, collapsed": collapse_gan(digits).sample(count, seed=4),
        TENTH: np.where(np.arange(count)[:, None, None, None] % 10, gan, copies),
        COPIES: copies,
    }


def measure_rows(
    digits: data.Digits, rows: dict[str, np.ndarray], weights: dict[str, np.ndarray], seed: int, folder: Path
) -> dict[str, float]:
    """Return the measures of all rows with a classifier of these weights, "measure/row"."""
    file = folder / f"measured-{seed}.json"
    if file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    classifier = networks.build_classifier()
    classifier.set_weights(list(weights.values()))
    look = keras.Model(classifier.inputs[0], [classifier.get_layer("features").output, classifier.outputs[0]])
    read = partial(look.predict, batch_size=512, verbose=0)

    count = len(rows["real digits"])
    real = digits.test.images[:count]
    held_out, fresh = np.array_split(np.random.default_rng(seed).permutation(real), 2)
    real_features, _ = read(real)
    right = read(digits.test.images)[1].argmax(axis=1) == digits.test.labels
    found = {"accuracy/classifier": float(right.mean())}
    for name, images in rows.items():
        features, logits = read(images)
        confidence = tf.nn.softmax(logits).numpy().max(axis=1)
        taken = {
            "frechet": metrics.frechet_distance(real_features, features),
            "kernel distance": kernel_distance(real_features, features),
            **compare_manifolds(real_features, features),
            "coverage": metrics.measure_coverage(real_features, features, NEIGHBOURS),
            "confident": float(np.mean(confidence >= CONFIDENT)),
            "told apart": metrics.tell_apart(real, images, seed),
            "memorisation": metrics.measure_memorisation(images, digits.train.images, held_out, fresh),
        }
        found |= {f"{measure}/{name}": value for measure, value in taken.items()}
    file.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return found


def compare_manifolds(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Return precision, recall and density of features, (count, dimensions) each, from balls to the fifth neighbour.

    Source: Kynkaanniemi et al. 2019 (precision, recall); Naeem et al. 2020 (density).
    """
    radii = [NearestNeighbors(n_neighbors=NEIGHBOURS).fit(one).kneighbors()[0][:, -1] for one in (real, fake)]
    distances = pairwise_distances(real, fake)  # (real, fake)
    in_real_ball = distances < radii[0][:, None]
    return {
        "precision": float(in_real_ball.any(axis=0).mean()),
        "recall": float((distances < radii[1]).any(axis=1).mean()),
        "density": float(in_real_ball.sum(axis=0).mean() / NEIGHBOURS),
    }


def kernel_distance(real: np.ndarray, fake: np.ndarray) -> float:
    """Return the unbiased squared maximum mean discrepancy of features, (count, dimensions) each; the kernel is cubic.

    It is 0 on average for two draws of one distribution, so it can be below. Source: Binkowski et al. 2018, section 3.
    """

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a.astype(np.float64) @ b.T / a.shape[1] + 1.0) ** 3

    count = len(real)
    within = [kernel(one, one) for one in (real, fake)]
    pairs = sum(values.sum() - np.trace(values) for values in within) / (count * (count - 1))
    return float(pairs - 2.0 * kernel(real, fake).mean())


def train_classifier(digits: data.Digits, run: dict, seed: int) -> dict[str, np.ndarray]:
    """Return the weights, float16 in the order of get_weights, of a classifier trained on digits turned and shifted."""
    keras.utils.set_random_seed(seed)
    classifier, edge = networks.build_classifier(), {"fill_mode": "constant"}
    moved = keras.Sequential(
        [
            layers.RandomRotation(0.04, **edge),  # of a full turn
            layers.RandomTranslation(0.07, 0.07, **edge),  # two pixels
            layers.RandomZoom(0.1, 0.1, **edge),
            layers.RandomShear(0.15, **edge),
            classifier,
        ]
    )
    steps = run["classifier_epochs"] * -(-len(digits.train.images) // 64)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    moved.compile(training.build_optimizer(2e-3, steps), cross_entropy)
    moved.fit(*digits.train, batch_size=64, epochs=run["classifier_epochs"], verbose=0)
    return {str(place): weight.astype(np.float16) for place, weight in enumerate(classifier.get_weights())}


def train_gan(digits: data.Digits, run: dict, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return samples under labels, (count,), of a conditional GAN after all its training and after a tenth of it."""
    keras.utils.set_random_seed(0)
    build_generator, build_discriminator = NETWORKS[run["network"]]
    discriminator = networks.give_each_class_a_logit(build_discriminator())
    gan = models.ConditionalGAN(build_generator(LATENT_SIZE + 10), discriminator, penalty_weight=0.5)
    latent = models.draw_latent(len(labels), LATENT_SIZE, seed=4)
    recorder = training.SampleRecorder(partial(gan.generate, labels=labels), latent, epochs=(EARLY,))
    epochs = run["gan_steps"] // STEPS_PER_EPOCH
    training.train_gan(gan, digits, **RECIPE, epochs=epochs, beta_1=0.0, beta_2=0.99, callbacks=[recorder])
    return gan.generate(latent, labels), recorder.frames[EARLY]


def collapse_gan(digits: data.Digits) -> models.GAN:
    """Return a GAN that has collapsed: nothing limits how steep its discriminator is."""
    keras.utils.set_random_seed(0)
    gan = models.GAN(networks.build_dense_generator(LATENT_SIZE), networks.build_dense_discriminator())
    training.train_gan(gan, digits, **RECIPE, epochs=COLLAPSED, beta_1=0.9)
    return gan


def train_vae(digits: data.Digits, run: dict) -> models.VAE:
    """Return a VAE like that of its chapter."""
    keras.utils.set_random_seed(0)
    vae = models.VAE(networks.build_dense_encoder(10, (300,)), networks.build_dense_decoder(10, (300,)))
    training.train_vae(vae, digits, **RECIPE, epochs=run["vae_steps"] // STEPS_PER_EPOCH)
    return vae


def keep(name: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays that the file NAME.npz holds; where there is none, make and store them first."""
    file = name.with_name(f"{name.name}.npz")
    if not file.exists():
        np.savez_compressed(file, **make())
    with np.load(file) as stored:
        return {name: stored[name] for name in stored.files}


def draw_table(rows: dict[str, np.ndarray], file: Path) -> None:
    """Draw ten images of each row into a PNG file."""
    figure, ax = plt.subplots(figsize=(7, 5), dpi=110, layout="constrained")
    plotting.show_rows(ax, {name: images[:10] for name, images in rows.items()})
    figure.savefig(file, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
