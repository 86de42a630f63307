"""GAN against VAE over ten seeds, and at three learning rates: the record behind the chapter `gan_vs_vae`.

Networks, sizes and training are the chapter's own: the study runs its cells up to `train`. Its three methods are the
GAN as the book trains it, the VAE, and the "plain GAN": no gradient penalty, and Adam's own momentum. None of the
settings was chosen here: they are those of the chapters on the two models, and the steps follow from the seconds.
"""

import keras
import numpy as np
import tensorflow as tf

from helpers import data, losses, metrics, models, scorecard
from helpers.book import records
from tools.studies import peak_memory_mb, run_cells

SEEDS = 10
SELECTION = "none"
CELLS = ("gan_vs_vae", "train")
METHODS = ("GAN", "VAE", "plain GAN")
OTHER_RATES = (0.5, 2.0)  # times the chapter's own; even seeds take the first, odd ones the second
SCORES = {"frechet": "squared feature units", "told_apart": "share of pairs"}
UNTRAINED = ("class Gaussians", "class means")  # of the study `measures`: what needs no training, and is nearest


def measure() -> dict[str, tuple[float, str]]:
    """Train every method at two rates with the seed in BOOK_SEED; return what each is worth."""
    names = run_cells(*CELLS)
    digits, seed, train = names["digits"], names["settings"].seed, names["train"]
    first = METHODS[seed % len(METHODS)]  # trained first, so that the peak of memory is its own
    before = peak_memory_mb()
    trained = {(first, 1.0): train(first)}
    found = {f"memory/{first}": (peak_memory_mb() - before, "MB above the process without it")}

    scorer = scorecard.Scorer(digits)
    # The chapter's rule: a run has failed if its samples lie no nearer to the test digits than the best images that
    # need no training. They are told which digits to draw, so that not only a wreck can fail.
    farthest = min(records.load("measures").get(f"frechet/{row}, digits")["value"] for row in UNTRAINED)
    lines = {"class means with noise": farthest, "other real digits": find_floor(scorer, digits)}
    found |= {f"frechet/{name}": (value, SCORES["frechet"]) for name, value in lines.items()}
    for rate in (1.0, OTHER_RATES[seed % 2]):
        for method in METHODS:
            label = method if rate == 1.0 else f"{method} at {rate:g} x"
            model, history, seconds = trained.pop((method, rate), None) or train(method, rate)
            images = model.sample(scorer.count, seed=4)
            finite = bool(np.isfinite(images).all())
            scores = score(scorer, label, images) if finite else {}
            failed = not finite or scores[f"frechet/{label}"][0] >= farthest
            found |= scores | {f"failed/{label}": (float(failed), "share of runs")}
            if rate == 1.0 and finite:
                found |= {f"seconds/{method}": (seconds, "s")} | measure_more(method, model, history, images, digits)
                if method == "VAE":
                    found |= score(scorer, "VAE, pixels drawn", data.draw_binary(images, seed=5))
            keras.backend.clear_session()
    return found


def score(scorer: scorecard.Scorer, label: str, images: np.ndarray) -> dict[str, tuple[float, str]]:
    """Return the scorecard of images, (count, 28, 28, 1), by metric and label."""
    scores = scorer.score(images)
    return {f"{name}/{label}": (getattr(scores, name), unit) for name, unit in SCORES.items()}


def find_floor(scorer: scorecard.Scorer, digits: data.Digits) -> float:
    """Return the Frechet distance of other real digits, those of the validation split."""
    real, other = digits.test.images[: scorer.count], digits.validation.images[: scorer.count]
    return metrics.frechet_distance(scorer.extract(real), scorer.extract(other))


def measure_more(
    method: str, model: keras.Model, history: dict, images: np.ndarray, digits: data.Digits
) -> dict[str, tuple[float, str]]:
    """Return what is measured at the chapter's own rate only: copies, and what the losses and slopes have come to."""
    splits = digits.train.images, digits.validation.images, digits.test.images
    found = {f"memorisation/{method}": (metrics.measure_memorisation(images, *splits), "ratio")}
    if method == "VAE":
        log_weights = model.log_weights(data.draw_binary(digits.test.images, seed=2), 100, seed=5)
        return found | {"test_nll/VAE": (metrics.importance_weighted_nll(log_weights)[0], "nats")}
    found[f"d_loss/{method}"] = (history["d_loss"][-1], "nats")
    found[f"gradient/{method}"] = (measure_gradient(model), "nats a unit of weight")
    return found


def measure_gradient(gan: models.GAN) -> float:
    """Return the length of the gradient that the generator's loss gives to its weights, over 1,000 samples."""
    with tf.GradientTape() as tape:
        fake = gan.generator(models.draw_latent(1_000, gan.latent_size, seed=8), training=True)
        loss = losses.generator_loss(gan.discriminator(fake, training=True))
    return float(tf.linalg.global_norm(tape.gradient(loss, gan.generator.trainable_variables)))
