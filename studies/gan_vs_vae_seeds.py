"""GAN against VAE over ten seeds, and at three learning rates: the record behind the chapter `gan_vs_vae`.

Networks, sizes and training are the chapter's own: the study runs its cells up to `train`. Its three methods are the
GAN as the book trains it, the VAE, and the "plain GAN": no gradient penalty, and Adam's own momentum. None of the
settings was chosen here: they are those of the chapters on the two models, and the steps follow from the seconds.

Its controls change one thing each: the VAE with the GAN's last layer, at the same sum of weights; the GAN without the
penalty, and with momentum, which with the GAN and the plain GAN make all four combinations; GAN and VAE at a tenth and
at half of the steps, the learning rate falling to zero over these; the plain GAN at a tenth of the rate, and with the
Adam that most GANs copy from DCGAN.
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
SLOW = 0.1  # times the chapter's rate, for the plain GAN of odd seeds
BUDGETS = {"a tenth of the steps": 0.1, "half the steps": 0.5}  # each with a schedule of its own
DCGAN = {"learning_rate": 2e-4, "beta_1": 0.5, "beta_2": 0.999}  # Adam as Radford et al. (2016) have it
ENLARGED_WIDTH = 475  # of the VAE's hidden layers where its decoder ends as the generator does: 480,916 weights in all
SCORES = {"frechet": "squared feature units", "told_apart": "share of pairs"}
UNTRAINED = ("class Gaussians", "class means")  # of the study `measures`: what needs no training, and is nearest


class Clock(keras.callbacks.Callback):
    """Times a training from the end of its first call, in which TensorFlow builds the graph."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self.clock, self.ends = clock, []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Note when a call has ended: each is several steps, as many every time."""
        self.ends.append(self.clock())

    def read(self) -> float:
        """Return the seconds of all steps, at the pace of all calls after the first."""
        return (self.ends[-1] - self.ends[0]) * len(self.ends) / (len(self.ends) - 1)


def measure() -> dict[str, tuple[float, str]]:
    """Train every method at two rates, and the controls, with the seed in BOOK_SEED; return what each is worth."""
    names = run_cells(*CELLS)
    digits, seed, train = names["digits"], names["settings"].seed, names["train"]
    first = METHODS[seed % len(METHODS)]  # trained first, so that the peak of memory is its own
    before = peak_memory_mb()
    clocks = {method: Clock(names["clock"]) for method in METHODS}
    trained = {(first, 1.0): train(first, callbacks=[clocks[first]])}
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
            model, history, seconds = trained.pop((method, rate), None) or train(
                method, rate, callbacks=[clocks[method]] if rate == 1.0 else ()
            )
            images = model.sample(scorer.count, seed=4)
            found |= judge(scorer, label, images, farthest)
            if rate == 1.0 and np.isfinite(images).all():
                found |= {
                    f"seconds/{method}": (seconds, "s"),
                    f"seconds of steps/{method}": (clocks[method].read(), "s"),
                }
                found |= measure_more(method, model, history, images, digits)
                if method == "VAE":
                    found |= score(scorer, "VAE, pixels drawn", data.draw_binary(images, seed=5))
            keras.backend.clear_session()
    for label, (method, changes) in list_controls(names).items():
        model, _, seconds = train_control(names, method, **changes)
        images = model.sample(scorer.count, seed=4)
        found |= judge(scorer, label, images, farthest) | {f"seconds/{label}": (seconds, "s")}
        if label in ("GAN without penalty", "GAN with momentum") and np.isfinite(images).all():
            found |= measure_step(label, model)
        keras.backend.clear_session()
    return found


def list_controls(names: dict[str, Any]) -> dict[str, tuple]:
    """Return the seed's controls: by label the method, and what `train_control` changes in its training."""
    config, seed = names["config"], names["settings"].seed
    momentum = {"beta_1": config.default_beta_1}
    controls = {
        "VAE, enlarged": ("VAE", {"build": lambda: build_enlarged_vae(config.code, seed)}),
        "GAN without penalty": ("GAN", {"build": lambda: names["build_gan"](penalty_weight=0.0)}),
        "GAN with momentum": ("GAN", {"recipe": momentum}),
        "plain GAN, DCGAN's Adam": ("plain GAN", {"recipe": DCGAN}),
    }
    for budget, share in BUDGETS.items():
        looks = round(share * config.looks)
        controls |= {f"{name}, {budget}": (name, {"looks": looks}) for name in ("GAN", "VAE")}
    if seed % 2:
        controls[f"plain GAN at {SLOW:g} x"] = ("plain GAN", {"rate": SLOW})
    return controls


def train_control(
    names: dict[str, Any],
    method: str,
    build: Callable | None = None,
    recipe: dict[str, Any] | None = None,
    rate: float = 1.0,
    looks: int | None = None,
) -> tuple:
    """Train as the chapter trains method, but for what is given; return what `train` returns.

    build: what makes another model; recipe: changes to its recipe; looks: tenths of the steps, over which the learning
    rate falls to zero.
    """
    builders, recipes, config = names["builders"], names["recipes"], names["config"]
    kept = builders[method], recipes[method], config.looks
    builders[method], recipes[method] = build or kept[0], kept[1] | (recipe or {})
    config.looks = looks or kept[2]
    try:
        return names["train"](method, rate)
    finally:
        builders[method], recipes[method], config.looks = kept


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
