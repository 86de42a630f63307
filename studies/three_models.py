"""GAN, VAE and flow matching at equal training seconds and equal weights: ten seeds, both data sets, one scorecard.

All three are dense networks without labels, each trained by the recipe of its own chapter. Nothing is chosen by a
score: the widths follow from the weights, which are equal to one in a hundred, and the steps from the seconds of one
step, taken beforehand on one core. Samples of each are as many as the scorecard compares; those of the VAE are its
pixel probabilities; flow matching follows its velocity in 20 steps, and once more in 4. What needs no training frames
them: validation digits in the place of samples, and a Gaussian around the mean of each class.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np

from helpers import data, flow, metrics, models, networks, scorecard, training
from helpers.book import runtime
from studies.pictures import draw_grid

SEEDS = 10
SELECTION = "none"
RUNS = {
    "references on digits": {"profile": "quick"},
    "GAN on digits": {
        "profile": "quick",
        "widths": (256, 304),
        "batch_size": 64,
        "learning_rate": 2e-3,
        "steps": 3_000,
    },
    "VAE on digits": {
        "profile": "quick",
        "widths": (300,),
        "codes": 10,
        "batch_size": 64,
        "learning_rate": 4e-3,
        "steps": 4_000,
    },
    "flow on digits": {
        "profile": "quick",
        "widths": (244,),
        "batch_size": 128,
        "learning_rate": 1.5e-3,
        "steps": 2_400,
    },
    "references on MNIST": {"profile": "full"},
    "GAN on MNIST": {"profile": "full", "widths": (384, 600), "batch_size": 64, "learning_rate": 2e-3, "steps": 6_000},
    "VAE on MNIST": {
        "profile": "full",
        "widths": (512, 256),
        "codes": 32,
        "batch_size": 128,
        "learning_rate": 2e-3,
        "steps": 7_000,
    },
    "flow on MNIST": {"profile": "full", "widths": (412,), "batch_size": 128, "learning_rate": 1.5e-3, "steps": 5_500},
}
LATENT_SIZE = 100  # of the GAN
PENALTY_WEIGHT = 0.5
BETAS = {"beta_1": 0.0, "beta_2": 0.99}  # of the GAN's Adam
STEPS_PER_EPOCH = 100
FEW = 4  # steps of the solver
TIMED = 5  # times that a hundred samples are drawn; the quickest counts
Draw = Callable[[int], np.ndarray]  # so many images, (count, 28, 28, 1)


def measure(label: str, folder: Path) -> dict[str, tuple[float, str]]:
    """Return the scores of a model's samples and what they cost, or the scores of the two references."""
    settings, run = runtime.start(), RUNS[label]
    digits, place = data.load(run["profile"]), label.partition(" on ")[2]
    scorer = scorecard.Scorer(digits)
    score = partial(score_samples, scorer, digits)
    if label.startswith("references"):
        chosen = np.random.default_rng(settings.seed).permutation(len(digits.validation.images))[: scorer.count]
        real, labels = digits.validation.images[chosen], digits.validation.labels[chosen]
        gaussians = data.draw_class_gaussians(digits.train, labels, seed=settings.seed)
        # Validation digits are half of those that memorisation compares with: it says nothing of them.
        found = score(f"real digits on {place}", real, searched=False)
        return found | score(f"class Gaussians on {place}", gaussians)

    keras.utils.set_random_seed(settings.seed)
    model, train = build(label.partition(" ")[0], run, settings.seed)
    sizes = {"epochs": run["steps"] // STEPS_PER_EPOCH, "steps_per_epoch": STEPS_PER_EPOCH}
    recipe = {name: run[name] for name in ("batch_size", "learning_rate")}
    begun = time.process_time()
    train(model, digits, **recipe, **sizes)
    seconds = time.process_time() - begun

    found = {
        f"seconds/{label}": (seconds, "s of one core"),
        f"weights/{label}": (float(sum(network.count_params() for network in model.layers)), "weights"),
    }
    ways: dict[str, Draw] = {label: partial(model.sample, seed=4)}
    if isinstance(model, flow.FlowMatching):
        ways[label.replace("flow", f"flow in {FEW} steps")] = partial(follow_few, model)
    for name, draw in ways.items():
        found[f"sampling/{name}"] = (time_samples(draw), "ms for 100 samples")
        found |= score(name, draw(scorer.count))
    draw_grid(model.sample(100, seed=2), folder / f"{label.replace(' ', '_')}.png")
    return found


def build(kind: str, run: dict, seed: int) -> tuple[keras.Model, Callable]:
    """Return an untrained model of a kind, "GAN", "VAE" or "flow", and the function that trains it."""
    widths = run.get("widths", ())
    if kind == "GAN":
        generator = networks.build_dense_generator(LATENT_SIZE, widths)
        discriminator = networks.build_dense_discriminator(widths[::-1])
        return models.GAN(generator, discriminator, seed, PENALTY_WEIGHT), partial(training.train_gan, **BETAS)
    if kind == "VAE":
        encoder = networks.build_dense_encoder(run["codes"], widths)
        return models.VAE(encoder, networks.build_dense_decoder(run["codes"], widths[::-1]), seed), training.train_vae
    return flow.FlowMatching(networks.build_dense_flow(width=widths[0]), seed), training.train_flow


def follow_few(model: flow.FlowMatching, count: int) -> np.ndarray:
    """Return the images, (count, 28, 28, 1), of the same noise in few steps of the solver."""
    return model.generate(models.draw_latent(count, model.latent_size, seed=4), steps=FEW)


def score_samples(
    scorer: scorecard.Scorer, digits: data.Digits, label: str, images: np.ndarray, searched: bool = True
) -> dict[str, tuple[float, str]]:
    """Return the scorecard of images, (scorer.count, 28, 28, 1), by name and label; searched: for copies too."""
    scores = scorer.score(images)
    real, fake = scorer.extract(digits.test.images[: scorer.count]), scorer.extract(images)
    found = {
        f"frechet/{label}": (scores.frechet, "squared feature units"),
        f"told_apart/{label}": (scores.told_apart, "share of pairs"),
        f"coverage/{label}": (metrics.measure_coverage(real, fake), "share"),
    }
    if searched:
        splits = digits.train.images, digits.validation.images, digits.test.images
        found[f"memorisation/{label}"] = (metrics.measure_memorisation(images, *splits), "ratio")
    return found


def time_samples(draw: Draw) -> float:
    """Return the milliseconds of one core that a hundred samples take, once the graph is there."""
    taken = []
    for _ in range(TIMED + 1):
        begun = time.process_time()
        draw(100)
        taken.append(1_000 * (time.process_time() - begun))
    return min(taken[1:])
