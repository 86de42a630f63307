"""GAN against VAE over ten seeds, and at three learning rates: the record behind the chapter `gan_vs_vae`.

Networks, sizes and training are the chapter's own: the study runs its cells up to `train`. Its three methods are the
GAN as the book trains it, the VAE, and the "plain GAN": no gradient penalty, and Adam's own momentum. None of the
settings was chosen here: they are those of the chapters on the two models, and the steps follow from the seconds.

Its controls change one thing each: the VAE with the GAN's last layer, at the same sum of weights; the GAN without the
penalty, and with momentum, which with the GAN and the plain GAN make all four combinations; GAN and VAE at half the
steps, the learning rate falling to zero over these; the plain GAN at a tenth of the rate.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from helpers import data, losses, metrics, models, networks, scorecard
from helpers.book import records
from tools.studies import peak_memory_mb, run_cells

SEEDS = 10
SELECTION = "none"
CELLS = ("gan_vs_vae", "train")
METHODS = ("GAN", "VAE", "plain GAN")
OTHER_RATES = (0.5, 2.0)  # times the chapter's own; even seeds take the first, odd ones the second
SLOW = 0.1  # times the chapter's rate, for the plain GAN of odd seeds; even ones run GAN and VAE at half the steps
ENLARGED_WIDTH = 475  # of the VAE's hidden layers where its decoder ends as the generator does: 480,916 weights in all
SCORES = {"frechet": "squared feature units", "told_apart": "share of pairs"}
UNTRAINED = ("class Gaussians", "class means")  # of the study `measures`: what needs no training, and is nearest


def measure() -> dict[str, tuple[float, str]]:
    """Train every method at two rates, and the controls, with the seed in BOOK_SEED; return what each is worth."""
    names = run_cells(*CELLS)
    digits, seed, train = names["digits"], names["settings"].seed, names["train"]
    first = METHODS[seed % len(METHODS)]  # trained first, so that the peak of memory is its own
    before = peak_memory_mb()
    trained = {(first, 1.0): train(first)}
    found = {f"memory/{first}": (peak_memory_mb() - before, "MB above the process without it")}

    scorer = scorecard.Scorer(digits)
    # The chapter's rule: a run has failed if its samples lie no nearer to the test digits than the best images made of
    # class means and pixel spreads alone. These are told which digits to draw, so that not only a wreck can fail.
    farthest = min(records.load("measures").get(f"frechet/{row}, digits")["value"] for row in UNTRAINED)
    lines = {"class means with noise": farthest, "other real digits": find_floor(scorer, digits)}
    found |= {f"frechet/{name}": (value, SCORES["frechet"]) for name, value in lines.items()}
    for rate in (1.0, OTHER_RATES[seed % 2]):
        for method in METHODS:
            label = method if rate == 1.0 else f"{method} at {rate:g} x"
            model, history, seconds = trained.pop((method, rate), None) or train(method, rate)
            images = model.sample(scorer.count, seed=4)
            found |= judge(scorer, label, images, farthest)
            if rate == 1.0 and np.isfinite(images).all():
                found |= {f"seconds/{method}": (seconds, "s")} | measure_more(method, model, history, images, digits)
                if method == "VAE":
                    found |= score(scorer, "VAE, pixels drawn", data.draw_binary(images, seed=5))
            keras.backend.clear_session()
    for label, control in list_controls(names).items():
        model, _, seconds = train_control(names, *control)
        images = model.sample(scorer.count, seed=4)
        found |= judge(scorer, label, images, farthest) | {f"seconds/{label}": (seconds, "s")}
        if label in ("GAN without penalty", "GAN with momentum") and np.isfinite(images).all():
            found |= measure_step(label, model)
        keras.backend.clear_session()
    return found


def list_controls(names: dict[str, Any]) -> dict[str, tuple]:
    """Return the seed's controls: by label the method, what else is built in its place, its recipe, the rate."""
    config, seed = names["config"], names["settings"].seed
    momentum = {"beta_1": config.default_beta_1}
    controls = {
        "VAE, enlarged": ("VAE", lambda: build_enlarged_vae(config.code, seed), {}, 1.0),
        "GAN without penalty": ("GAN", lambda: names["build_gan"](penalty_weight=0.0), {}, 1.0),
        "GAN with momentum": ("GAN", names["builders"]["GAN"], momentum, 1.0),
    }
    if seed % 2:
        return controls | {f"plain GAN at {SLOW:g} x": ("plain GAN", names["builders"]["plain GAN"], {}, SLOW)}
    steps = {"GAN": config.gan_steps, "VAE": config.vae_steps}
    halves = {name: {"steps_per_epoch": count // 10 * 5} for name, count in steps.items()}
    return controls | {f"{name}, half the steps": (name, names["builders"][name], halves[name], 1.0) for name in halves}


def train_control(names: dict[str, Any], method: str, build: Callable, recipe: dict[str, Any], rate: float) -> tuple:
    """Train as the chapter trains method, with another model and changes to its recipe; return what `train` returns."""
    tables = names["builders"], names["recipes"]
    kept = [table[method] for table in tables]
    tables[0][method], tables[1][method] = build, kept[1] | recipe
    try:
        return names["train"](method, rate)
    finally:
        for table, own in zip(tables, kept, strict=True):
            table[method] = own


def build_enlarged_vae(code: int, seed: int) -> models.VAE:
    """Return a VAE whose decoder ends as the dense generator does: logits at half the size, enlarged."""
    decoder = keras.Sequential(
        [
            keras.Input((code,)),
            layers.Dense(ENLARGED_WIDTH, activation="relu"),
            layers.Dense(14 * 14),
            layers.Reshape((14, 14, 1)),
            layers.UpSampling2D(2, interpolation="bilinear"),  # (batch, 28, 28, 1) logits
        ],
        name="decoder",
    )
    return models.VAE(networks.build_dense_encoder(code, (ENLARGED_WIDTH,)), decoder, seed)


def judge(scorer: scorecard.Scorer, label: str, images: np.ndarray, farthest: float) -> dict[str, tuple[float, str]]:
    """Return the scorecard of a run's images, (count, 28, 28, 1), and whether it has failed, by metric and label."""
    finite = bool(np.isfinite(images).all())
    scores = score(scorer, label, images) if finite else {}
    failed = not finite or scores[f"frechet/{label}"][0] >= farthest
    return scores | {f"failed/{label}": (float(failed), "share of runs")}


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
    return found | measure_step(method, model)


def measure_gradient(gan: models.GAN) -> float:
    """Return the length of the gradient that the generator's loss gives to its weights, over 1,000 samples."""
    with tf.GradientTape() as tape:
        fake = gan.generator(models.draw_latent(1_000, gan.latent_size, seed=8), training=True)
        loss = losses.generator_loss(gan.discriminator(fake, training=True))
    return float(tf.linalg.global_norm(tape.gradient(loss, gan.generator.trainable_variables)))


def measure_step(label: str, gan: models.GAN) -> dict[str, tuple[float, str]]:
    """Return what one step of the generator alone does, at its rate of mid-training, over 360 samples; then undo it.

    slope: mean length of the logit's gradient at an image. step: how far an image moves. rise told: what the logit
    should gain along a straight line of that slope; rise: what it gains.
    """
    network, optimizer = gan.generator, gan.generator_optimizer
    kept = [one.numpy() for one in (*network.variables, *optimizer.variables)]
    noise = models.draw_latent(360, gan.latent_size, seed=4)
    with tf.GradientTape(persistent=True) as tape:
        before = network(noise, training=True)  # (360, 28, 28, 1)
        logits = gan.discriminator(before, training=True)
        loss = losses.generator_loss(logits)
    slopes = tape.gradient(logits, before)
    optimizer.iterations.assign(optimizer.iterations // 2)  # the rate falls with these
    optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
    moves = network(noise, training=True) - before
    rise = gan.discriminator(before + moves, training=True) - logits
    for one, value in zip((*network.variables, *optimizer.variables), kept, strict=True):
        one.assign(value)
    lengths = [np.linalg.norm(np.reshape(one, (360, -1)), axis=1).mean() for one in (slopes, moves)]
    told = tf.reduce_mean(tf.reduce_sum(slopes * moves, axis=(1, 2, 3)))
    units = {
        "slope": "logits a unit of distance",
        "step": "distance in pixels",
        "rise told": "logits",
        "rise": "logits",
    }
    values = (*lengths, float(told), float(tf.reduce_mean(rise)))
    return {f"{name}/{label}": (float(value), units[name]) for name, value in zip(units, values, strict=True)}
