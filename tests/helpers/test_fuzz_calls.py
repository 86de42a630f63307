"""Bad input by the thousand: every function that a learner calls ends in what its docstring allows, or in words.

CALLS says of each how it is called rightly and what may come of it. hypothesis spoils some of the arguments, or puts
anything at all in their place. What is not in the table, though it could be called, is found by name.
"""

import importlib
import inspect
import pkgutil
import time
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any, NamedTuple

import hypothesis
import keras
import matplotlib
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import strategies as st

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

import helpers
from helpers import (
    data,
    diagnosis,
    flow,
    losses,
    metrics,
    models,
    networks,
    plotting,
    scorecard,
    training,
    transformers,
)
from helpers.book import bands, corpus, datasets, records, score_samples, service, temperature, widgets
from tests import odd_input
from tests.soaking import Soak

VAE = models.VAE(networks.build_dense_encoder(3, (4,)), networks.build_dense_decoder(3, (4,)))
GAN = models.GAN(networks.build_dense_generator(3, (4,)), networks.build_dense_discriminator((4,)))
CONDITIONAL = models.ConditionalGAN(
    networks.build_dense_generator(13, (4,)), networks.give_each_class_a_logit(networks.build_dense_discriminator((4,)))
)
FLOW = flow.FlowMatching(networks.build_dense_flow(22, 4, 1), classes=10)
CLASSIFIER = networks.build_classifier(4)
PLANE = networks.build_dense_decoder(2, (4,))
WALK = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
WRITER = transformers.build_decoder_only(5, 6, width=4, heads=1, blocks=1)
WRITE = transformers.build_generator(WRITER)
READ = transformers.build_generator(transformers.build_encoder_decoder(5, 4, 6, width=4, heads=1, blocks=1))
RECORD = records.load("measures")
for one, optimizers in ((GAN, 2), (CONDITIONAL, 2), (VAE, 1), (FLOW, 1)):
    one.compile(*(keras.optimizers.SGD(1e-3) for _ in range(optimizers)))


class World:
    """What the arguments of one call have in common: a count, a number of dimensions, and chance."""

    def __init__(self, count: int, size: int, seed: int) -> None:
        self.count, self.size, self.seed, self.rng = count, size, seed, np.random.default_rng(seed)

    def greys(self, count: int = 0, side: int = 28) -> np.ndarray:
        return self.rng.random((count or self.count, side, side, 1), dtype=np.float32)

    def binary(self, count: int = 0) -> np.ndarray:
        return np.round(self.greys(count))

    def points(self, count: int = 0, size: int = 0) -> np.ndarray:
        return self.rng.normal(size=(count or self.count, size or self.size)).astype(np.float32)

    def labels(self, count: int = 0) -> np.ndarray:
        return self.rng.integers(0, 10, count or self.count)

    def split(self, count: int = 0) -> data.Split:
        return data.Split(self.greys(count), self.labels(count))

    def digits(self, count: int = 0) -> data.Digits:
        return data.Digits("scikit-learn digits", *(self.split(count) for _ in range(3)))

    def history(self) -> dict[str, list[float]]:
        return {name: self.rng.random(8).tolist() for name in diagnosis.SERIES}


class Call(NamedTuple):
    """A function, how it is called rightly, what may come of it, and which refusals are right even then."""

    function: Callable
    give: Callable[[World], dict[str, Any]]
    allows: Callable[[Any, dict[str, Any]], bool]
    refusals: tuple[type[Exception], ...] = ()
    dear: bool = False  # it takes tenths of a second, and is tried less often


# What may come of a call: true whatever was let through, as far as the docstring promises it


def is_number(low: float = -np.inf, high: float = np.inf) -> Callable:
    return lambda answer, given: isinstance(answer, float) and np.isfinite(answer) and low <= answer <= high


def is_array(shape: Callable[[dict], tuple] | None = None, low: float = -np.inf, high: float = np.inf) -> Callable:
    """Finite numbers from low to high, of a shape if it is promised."""

    def allows(answer: Any, given: dict) -> bool:
        array = np.asarray(answer)
        right = isinstance(answer, np.ndarray | np.number) and array.dtype.kind in "fiu" and np.isfinite(array).all()
        return (
            right
            and bool((array >= low).all() and (array <= high).all())
            and (not shape or array.shape == shape(given))
        )

    return allows


def is_tensor(rank: int | None = None) -> Callable:
    """A tensor of that rank, or any, finite where what was given is, and not huge."""

    def allows(answer: Any, given: dict) -> bool:
        small = all(np.abs(np.nan_to_num(np.asarray(one), nan=np.inf)).max(initial=0) < 20 for one in given.values())
        return tf.is_tensor(answer) and rank in (None, len(answer.shape)) and (not small or np.isfinite(answer).all())

    return allows


def is_model(*ends: Callable[[dict], tuple]) -> Callable:
    """A network with outputs of that shape."""

    def allows(answer: Any, given: dict) -> bool:
        shapes = [tuple(one.shape[1:]) for one in answer.outputs]
        return isinstance(answer, keras.Model) and shapes == [end(given) for end in ends]

    return allows


def is_a(*kinds: type) -> Callable:
    return lambda answer, given: isinstance(answer, kinds)


def is_nothing(answer: Any, given: dict) -> bool:
    return answer is None


def each(*checks: Callable) -> Callable:
    """A tuple, each part of which is allowed."""
    return lambda answer, given: (
        len(answer) == len(checks) and all(check(part, given) for check, part in zip(checks, answer, strict=True))
    )


def is_history(answer: Any, given: dict) -> bool:
    return isinstance(answer, dict) and all(np.isfinite(values).all() for values in answer.values())


def is_values(answer: Any, given: dict) -> bool:
    return isinstance(answer, dict) and np.isfinite([*answer.values()]).all()


def has_count(name: str, *rest: int) -> Callable[[dict], tuple]:
    return lambda given: (len(given[name]), *rest)


def images_of(name: str) -> Callable:
    return is_array(has_count(name, 28, 28, 1), 0.0, 1.0)


DRAWN = is_array(lambda given: (given["count"], 28, 28, 1), 0.0, 1.0)
IMAGE = (28, 28, 1)


def on_axes(draw: Callable) -> Callable:
    def call(**options: Any) -> Any:
        figure, ax = plt.subplots(figsize=(1, 1))
        try:
            return draw(**{"ax": ax} | options)
        finally:
            plt.close(figure)

    return call


def reduce_some(**given: Any) -> Any:
    figure = plt.figure(figsize=(1, 1))
    try:
        return plotting.reduce_colours(**{"figure": figure} | given)
    finally:
        plt.close(figure)


def look(stream: tf.data.Dataset) -> tuple:
    """The first batch of a stream."""
    found = next(iter(stream))
    return tuple(one.numpy() for one in found) if isinstance(found, tuple) else found.numpy()


def is_batch(answer: Any, given: dict) -> bool:
    images, labels = answer if isinstance(answer, tuple) else (answer, None)
    pixels_right = images.shape == (given["batch_size"], *IMAGE) and images.min() >= 0.0 and images.max() <= 1.0
    return (
        pixels_right and (given["labels"] is None) == (labels is None) and (labels is None or labels.dtype == np.int64)
    )


def build_sizes(world: World, *more: str) -> dict[str, int]:
    return {"vocabulary": 5, "length": 6, "width": 4, "heads": 2, "blocks": 1} | dict.fromkeys(more, 4)


def logits_of(given: dict) -> tuple:
    return (None, given["vocabulary"])


def train(train: Callable, model: keras.Model) -> Callable:
    return lambda **options: train(model, **options)


def training_of(world: World) -> dict[str, Any]:
    return {
        "digits": world.digits(8),
        "batch_size": 4,
        "learning_rate": 1e-3,
        "steps_per_epoch": 1,
        "epochs": 1,
        "callbacks": (),
    }


def fit(model: keras.Model) -> Callable:
    return lambda **options: model.fit(**options, verbose=0).history


def evaluate(model: keras.Model) -> Callable:
    return lambda **options: model.evaluate(**options, verbose=0, return_dict=True)


def four_sets(world: World) -> dict[str, Any]:
    return {"images": world.greys(3), "train": world.greys(4), "held_out": world.greys(3), "fresh": world.greys(2)}


def two_sets(world: World) -> dict[str, Any]:
    count = world.count + world.size + 10
    return {name: world.points(count, world.size + 1) for name in ("real", "fake")}


def pair(world: World, *names: str) -> dict[str, Any]:
    return {name: tf.constant(world.points()) for name in names}


def layers(world: World, *names: str) -> dict[str, Any]:
    return {"latent_size": 3, "widths": (4,) * (world.count % 3)} | dict.fromkeys(names, False)


def score_with(function: str) -> Callable:
    """A method of the scorecard, without the test digits, which take a second."""
    scorer = object.__new__(scorecard.Scorer)
    scorer.classifier = networks.build_classifier()
    scorer._extractor = networks.build_feature_extractor(scorer.classifier)
    scorer.count, rng = 70, np.random.default_rng(0)
    scorer._real = rng.random((70, *IMAGE), dtype=np.float32)
    scorer._real_features = scorer.extract(scorer._real)
    return getattr(scorer, function)


def compare_with(images: Any) -> Any:
    """The table of score_samples, with a stand-in for the scorecard that is as small."""
    world = World(12, 2, 0)
    scorer = SimpleNamespace(
        count=10, extract=lambda images: np.reshape(images, (len(images), -1))[:, :3], score=lambda images: (0.0, 0.5)
    )
    return score_samples.compare(images, world.digits(12), scorer)


def answer_with(requests: Any) -> Any:
    return make_service().answer(requests)


def make_service() -> service.Service:
    """A service without its folder."""
    made = object.__new__(service.Service)
    made.card = {"latent_size": 3, "most": 4, "version": "1"}
    made.draw = lambda noise: tf.sigmoid(VAE.decoder(noise))
    return made


def callable_only(answer: Any, given: dict) -> bool:
    return callable(answer)


def is_writing(answer: Any, given: dict) -> bool:
    rows, start = np.shape(given["tokens"])
    return answer.shape == (rows, start + given["count"]) and answer.min() >= 0 and answer.max() < 5


def calls() -> dict[str, Call]:
    """The table."""
    shown = {
        "plotting.show_images": Call(
            on_axes(plotting.show_images), lambda w: {"images": w.greys(), "columns": 3, "label": "a"}, is_a(Axes)
        ),
        "plotting.show_rows": Call(
            on_axes(plotting.show_rows), lambda w: {"rows": {"a": w.greys(3), "b": w.greys(3)}}, is_a(Axes)
        ),
        "plotting.plot_curves": Call(
            on_axes(plotting.plot_curves),
            lambda w: {"curves": {"a": w.points(4, 1)[:, 0]}, "x": np.arange(4), "xlabel": "x", "ylabel": "y"},
            is_a(Axes),
        ),
        "plotting.label_lines": Call(on_axes(plotting.label_lines), lambda w: {"gap": 1.2}, is_a(Axes)),
        "plotting.plot_latent_plane": Call(
            on_axes(plotting.plot_latent_plane),
            lambda w: {"latent": w.points(size=2), "labels": w.labels()},
            is_a(Axes),
            dear=True,
        ),
        "plotting.tile_images": Call(
            plotting.tile_images,
            lambda w: {"images": w.greys(side=w.size), "columns": 3, "gap": 2},
            lambda answer, given: answer.ndim == 2 and answer.dtype == np.float32 and not np.isinf(answer).any(),
        ),
        "plotting.describe_digits": Call(plotting.describe_digits, lambda w: {"labels": w.labels()}, is_a(str)),
        "plotting.reduce_colours": Call(
            reduce_some,
            lambda w: {"colours": 16},
            lambda answer, given: answer.mode == "P",
        ),
    }
    drawn = {
        "data.load": Call(data.load, lambda w: {"profile": "quick"}, is_a(data.Digits), (data.MnistError,), dear=True),
        "data.draw_pen_strokes": Call(
            data.draw_pen_strokes, lambda w: {"scans": w.greys(2, 8)[..., 0]}, images_of("scans"), dear=True
        ),
        "data.enlarge": Call(
            data.enlarge, lambda w: {"scans": w.greys(2, 8)[..., 0]}, is_array(has_count("scans", 100, 100), -0.5, 1.5)
        ),
        "data.decide_ink": Call(
            data.decide_ink, lambda w: {"points": w.points()}, is_array(lambda given: np.shape(given["points"]), 0, 1)
        ),
        "data.read_mnist_file": Call(
            data.read_mnist_file, lambda w: {"path": str(Path(__file__))}, is_a(dict), (data.MnistError,)
        ),
        "data.make_batches": Call(
            lambda **given: look(data.make_batches(**given)),
            lambda w: {
                "images": w.greys(8),
                "batch_size": 4,
                "seed": w.seed,
                "held_out": w.greys(3),
                "binary": False,
                "labels": w.labels(8),
                "start": 0,
            },
            is_batch,
            dear=True,
        ),
        "data.refuse_held_out": Call(
            data.refuse_held_out, lambda w: {"images": w.greys(), "held_out": w.greys(3)}, is_nothing
        ),
        "data.draw_binary": Call(
            data.draw_binary,
            lambda w: {"images": w.greys(), "seed": w.seed},
            lambda answer, given: answer.shape == given["images"].shape and np.isin(answer, (0.0, 1.0)).all(),
        ),
        "data.draw_class_gaussians": Call(
            data.draw_class_gaussians,
            lambda w: {"split": w.split(30), "labels": w.labels(), "seed": w.seed},
            images_of("labels"),
            (data.ImageError,),
        ),
        "data.center_by_mass": Call(
            data.center_by_mass, lambda w: {"images": w.greys(side=w.size + 3)}, is_array(has_count("images", *IMAGE))
        ),
        "losses.kl_to_standard_normal": Call(
            losses.kl_to_standard_normal, lambda w: pair(w, "mean", "log_variance"), is_tensor()
        ),
        "losses.bernoulli_log_likelihood": Call(
            losses.bernoulli_log_likelihood,
            lambda w: {"images": tf.constant(w.greys()), "logits": tf.constant(w.greys())},
            is_tensor(1),
        ),
        "losses.normal_log_density": Call(
            losses.normal_log_density, lambda w: pair(w, "values", "mean", "log_variance"), is_tensor(1)
        ),
        "losses.reparameterise": Call(
            losses.reparameterise, lambda w: pair(w, "mean", "log_variance", "noise"), is_tensor(2)
        ),
        "losses.discriminator_loss": Call(
            losses.discriminator_loss, lambda w: pair(w, "real_logits", "fake_logits"), is_tensor(0)
        ),
        "losses.generator_loss": Call(losses.generator_loss, lambda w: pair(w, "fake_logits"), is_tensor(0)),
        "losses.gradient_penalty": Call(
            losses.gradient_penalty, lambda w: {"gradients": tf.constant(w.greys())}, is_tensor(0)
        ),
    }
    built = {
        "networks.build_classifier": Call(
            networks.build_classifier, lambda w: {"feature_size": w.size}, is_model(lambda given: (10,)), dear=True
        ),
        "networks.build_feature_extractor": Call(
            networks.build_feature_extractor,
            lambda w: {"classifier": CLASSIFIER},
            is_model(lambda given: (4,)),
            dear=True,
        ),
        "networks.build_dense_generator": Call(
            networks.build_dense_generator, lambda w: layers(w, "batch_norm"), is_model(lambda given: IMAGE), dear=True
        ),
        "networks.build_dense_encoder": Call(
            networks.build_dense_encoder,
            layers,
            is_model(*(lambda given: (given["latent_size"],),) * 2),
            dear=True,
        ),
        "networks.build_dense_decoder": Call(
            networks.build_dense_decoder, layers, is_model(lambda given: IMAGE), dear=True
        ),
        "networks.build_dense_discriminator": Call(
            networks.build_dense_discriminator, lambda w: {"widths": (4,)}, is_model(lambda given: (1,)), dear=True
        ),
        "networks.build_convolutional_generator": Call(
            networks.build_convolutional_generator,
            lambda w: {"latent_size": 3, "channels": 2},
            is_model(lambda given: IMAGE),
            dear=True,
        ),
        "networks.build_convolutional_discriminator": Call(
            networks.build_convolutional_discriminator,
            lambda w: {"channels": 2},
            is_model(lambda given: (1,)),
            dear=True,
        ),
        "networks.build_dense_flow": Call(
            networks.build_dense_flow,
            lambda w: {"told": 12, "width": 4, "blocks": 1},
            is_model(lambda given: (784,)),
            dear=True,
        ),
        "networks.give_each_class_a_logit": Call(
            networks.give_each_class_a_logit,
            lambda w: {"discriminator": GAN.discriminator, "classes": 3},
            is_model(lambda given: (given["classes"],)),
            dear=True,
        ),
        "transformers.build_decoder_only": Call(
            transformers.build_decoder_only, build_sizes, is_model(logits_of), dear=True
        ),
        "transformers.build_encoder_only": Call(
            transformers.build_encoder_only, build_sizes, is_model(logits_of), dear=True
        ),
        "transformers.build_encoder_decoder": Call(
            transformers.build_encoder_decoder,
            lambda w: build_sizes(w, "source_length"),
            is_model(logits_of),
            dear=True,
        ),
        "transformers.apply_block": Call(
            lambda **given: transformers.apply_block(**{"x": keras.Input((None, 4))} | given),
            lambda w: {"heads": 2, "causal": True, "memory": None},
            lambda answer, given: answer.shape == (None, None, 4),
            dear=True,
        ),
        "transformers.find_attention": Call(
            transformers.find_attention,
            lambda w: {"model": WRITER, "inputs": np.array([[1, 2, 3]])},
            is_a(dict),
            dear=True,
        ),
        "transformers.build_generator": Call(
            transformers.build_generator, lambda w: {"model": WRITER}, callable_only, dear=True
        ),
        "transformers.build_generator.generate": Call(
            WRITE, lambda w: {"tokens": np.array([[1, 2]]), "count": w.count % 5}, is_writing
        ),
        "transformers.build_generator.generate, source": Call(
            READ, lambda w: {"tokens": np.array([[1, 2]]), "count": 2, "source": np.array([[1, 2, 3]])}, is_writing
        ),
    }
    trained = {
        "models.GAN": Call(
            models.GAN,
            lambda w: {
                "generator": GAN.generator,
                "discriminator": GAN.discriminator,
                "seed": 0,
                "penalty_weight": 1.0,
            },
            is_a(models.GAN),
            dear=True,
        ),
        "models.GAN.compile": Call(
            lambda **given: models.GAN(GAN.generator, GAN.discriminator).compile(**given),
            lambda w: {
                "generator_optimizer": keras.optimizers.SGD(),
                "discriminator_optimizer": keras.optimizers.SGD(),
            },
            is_nothing,
            dear=True,
        ),
        "models.GAN.generate": Call(GAN.generate, lambda w: {"latent": w.points(size=3)}, images_of("latent")),
        "models.GAN.sample": Call(GAN.sample, lambda w: {"count": w.count, "seed": w.seed}, DRAWN),
        "models.ConditionalGAN": Call(
            models.ConditionalGAN,
            lambda w: {"generator": CONDITIONAL.generator, "discriminator": CONDITIONAL.discriminator, "seed": 0},
            is_a(models.ConditionalGAN),
            dear=True,
        ),
        "models.ConditionalGAN.generate": Call(
            CONDITIONAL.generate, lambda w: {"latent": w.points(size=3), "labels": w.labels()}, images_of("latent")
        ),
        "models.VAE": Call(
            models.VAE,
            lambda w: {"encoder": VAE.encoder, "decoder": VAE.decoder, "seed": 0, "kl_weight": 1.0},
            is_a(models.VAE),
            dear=True,
        ),
        "models.VAE.compute_terms": Call(
            lambda images: VAE.compute_terms(images, 0, False),
            lambda w: {"images": tf.constant(w.binary())},
            is_a(tuple),
        ),
        "models.VAE.encode": Call(
            VAE.encode, lambda w: {"images": w.greys()}, each(*(is_array(has_count("images", 3)),) * 2)
        ),
        "models.VAE.decode": Call(VAE.decode, lambda w: {"latent": w.points(size=3)}, images_of("latent")),
        "models.VAE.reconstruct": Call(VAE.reconstruct, lambda w: {"images": w.greys()}, images_of("images")),
        "models.VAE.sample": Call(VAE.sample, lambda w: {"count": w.count, "seed": w.seed}, DRAWN),
        "models.VAE.log_weights": Call(
            VAE.log_weights,
            lambda w: {"images": w.binary(2), "samples": 3, "seed": w.seed, "batch_size": 2, "draws_at_once": 2},
            is_array(lambda given: (given["samples"], len(given["images"]))),
            dear=True,
        ),
        "models.draw_latent": Call(
            models.draw_latent,
            lambda w: {"count": w.count, "latent_size": w.size, "seed": w.seed},
            is_array(lambda given: (given["count"], given["latent_size"])),
        ),
        "flow.FlowMatching": Call(
            flow.FlowMatching,
            lambda w: {"network": FLOW.network, "seed": 0, "classes": 10},
            is_a(flow.FlowMatching),
            dear=True,
        ),
        "flow.FlowMatching.generate": Call(
            FLOW.generate,
            lambda w: {"latent": w.points(2, 784), "labels": w.labels(2), "steps": 2, "heun": False},
            images_of("latent"),
            dear=True,
        ),
        "flow.FlowMatching.sample": Call(FLOW.sample, lambda w: {"count": 2, "seed": w.seed}, DRAWN, dear=True),
        "flow.describe_time": Call(
            flow.describe_time, lambda w: {"time": tf.constant(w.greys(side=1)[..., 0, 0])}, is_tensor(2)
        ),
        "flow.flow_loss": Call(
            flow.flow_loss,
            lambda w: pair(w, "guess", "target") | {"time": tf.constant(w.greys(side=1)[..., 0, 0])},
            is_tensor(0),
        ),
        "flow.follow_euler": Call(
            flow.follow_euler,
            lambda w: {"velocity": lambda state, time: -state, "state": tf.constant(w.points()), "steps": 2},
            lambda answer, given: answer.shape == np.shape(given["state"]),
        ),
        "flow.follow_heun": Call(
            flow.follow_heun,
            lambda w: {"velocity": lambda state, time: -state, "state": tf.constant(w.points()), "steps": 2},
            lambda answer, given: answer.shape == np.shape(given["state"]),
        ),
        "seeded.SeededModel.fit": Call(
            fit(VAE),
            lambda w: {"x": w.binary(4), "batch_size": 4, "epochs": 1, "validation_data": w.binary(3)},
            is_history,
            dear=True,
        ),
        "seeded.SeededModel.fit, GAN": Call(
            fit(GAN), lambda w: {"x": w.greys(4), "batch_size": 4, "callbacks": []}, is_history, dear=True
        ),
        "seeded.SeededModel.fit, labels": Call(
            fit(CONDITIONAL), lambda w: {"x": w.greys(4), "y": w.labels(4), "batch_size": 4}, is_history, dear=True
        ),
        "seeded.SeededModel.evaluate": Call(
            evaluate(CONDITIONAL), lambda w: {"x": w.greys(4), "y": w.labels(4), "batch_size": 4}, is_values, dear=True
        ),
        "training.train_gan": Call(
            train(training.train_gan, GAN),
            lambda w: training_of(w) | {"beta_1": 0.5, "beta_2": 0.9},
            is_history,
            dear=True,
        ),
        "training.train_vae": Call(
            train(training.train_vae, VAE),
            lambda w: training_of(w) | {"validation": w.binary(3)},
            is_history,
            dear=True,
        ),
        "training.train_flow": Call(
            train(training.train_flow, FLOW), lambda w: training_of(w) | {"beta_2": 0.9}, is_history, dear=True
        ),
        "training.build_optimizer": Call(
            training.build_optimizer,
            lambda w: {"learning_rate": 1e-3, "steps": 5, "beta_1": 0.0, "beta_2": 0.9},
            is_a(keras.optimizers.Adam),
            dear=True,
        ),
        "training.find_steps_per_call": Call(
            training.find_steps_per_call,
            lambda w: {"steps_per_epoch": w.count},
            lambda answer, given: 1 <= answer <= 25 and given["steps_per_epoch"] % answer == 0,
        ),
        "training.SampleRecorder": Call(
            training.SampleRecorder,
            lambda w: {"draw": GAN.generate, "latent": w.points(size=3), "epochs": [0, 1]},
            is_a(training.SampleRecorder),
        ),
        "checkpoints.Checkpoint": Call(
            training.Checkpoint, lambda w: {"file": "a file.npz", "every": 1}, is_a(training.Checkpoint)
        ),
    }
    measured = {
        "metrics.frechet_distance": Call(metrics.frechet_distance, two_sets, is_number(0.0)),
        "metrics.tell_apart": Call(metrics.tell_apart, lambda w: two_sets(w) | {"seed": w.seed}, is_number(0.0, 1.0)),
        "metrics.measure_coverage": Call(
            metrics.measure_coverage, lambda w: two_sets(w) | {"neighbours": w.size}, is_number(0.0, 1.0)
        ),
        "metrics.importance_weighted_nll": Call(
            metrics.importance_weighted_nll,
            lambda w: {"log_weights": w.points(w.count + 1, w.size + 1)},
            each(is_number(), is_number(0.0)),
        ),
        "metrics.bernoulli_mixture_nll": Call(
            metrics.bernoulli_mixture_nll,
            lambda w: {"images": w.binary(), "components": w.greys(3)},
            is_number(0.0),
        ),
        "metrics.smooth_mean": Call(
            metrics.smooth_mean,
            lambda w: {"images": w.greys()},
            is_array(lambda given: np.shape(given["images"])[1:], 0, 1),
        ),
        "metrics.count_classes": Call(
            metrics.count_classes,
            lambda w: {"labels": w.labels(120), "minimum_share": 0.01},
            lambda answer, given: isinstance(answer, int) and 0 <= answer <= len(given["labels"]),
        ),
        "metrics.find_nearest": Call(
            metrics.find_nearest,
            lambda w: {"images": w.greys(), "references": w.greys(3)},
            each(is_array(has_count("images"), 0), is_array(has_count("images"), 0.0)),
        ),
        "metrics.measure_memorisation": Call(metrics.measure_memorisation, four_sets, is_number(0.0)),
        "diagnosis.measure_spread": Call(
            diagnosis.measure_spread,
            lambda w: {"images": w.greys(w.count + 1)},
            lambda answer, given: isinstance(answer, float) and (np.isnan(answer) or 0.0 <= answer < np.inf),
        ),
        "diagnosis.diagnose": Call(
            diagnosis.diagnose, lambda w: {"history": w.history()}, lambda answer, given: answer in diagnosis.KINDS
        ),
        "diagnosis.compare_quarters": Call(
            diagnosis.compare_quarters,
            lambda w: {"values": w.points(w.count + 4, 1)[:, 0]},
            lambda answer, given: all(isinstance(one, float) for one in answer) and len(answer) == 2,
        ),
        "diagnosis.SpreadRecorder": Call(
            diagnosis.SpreadRecorder,
            lambda w: {"draw": GAN.generate, "latent": w.points(4, 3), "real": w.greys(4)},
            is_a(diagnosis.SpreadRecorder),
        ),
        "scorecard.Scorer": Call(
            scorecard.Scorer, lambda w: {"digits": w.digits(70)}, is_a(scorecard.Scorer), dear=True
        ),
        "scorecard.Scorer.classify": Call(
            score_with("classify"), lambda w: {"images": w.greys()}, is_array(has_count("images"), 0, 9), dear=True
        ),
        "scorecard.Scorer.extract": Call(
            score_with("extract"), lambda w: {"images": w.greys()}, is_array(has_count("images", 64), -1, 1), dear=True
        ),
        "scorecard.Scorer.score": Call(
            score_with("score"), lambda w: {"images": w.greys(70)}, each(is_number(0.0), is_number(0, 1)), dear=True
        ),
        "scorecard.load_classifier": Call(
            scorecard.load_classifier, lambda w: {"name": "classifier_digits.npz"}, is_a(keras.Model), dear=True
        ),
    }
    kept = {
        "book.score_samples.read_samples": Call(
            score_samples.read_samples,
            lambda w: {"path": Path(__file__), "key": "images"},
            is_array(),
            (score_samples.SamplesError,),
        ),
        "book.score_samples.make_images": Call(
            score_samples.make_images, lambda w: {"array": w.greys()}, images_of("array")
        ),
        "book.score_samples.find_warnings": Call(
            score_samples.find_warnings, lambda w: {"images": w.greys()}, is_a(list)
        ),
        "book.score_samples.choose": Call(
            score_samples.choose,
            lambda w: {"images": w.greys(), "count": 1},
            lambda answer, given: len(answer) == given["count"],
        ),
        "book.score_samples.compare": Call(
            compare_with, lambda w: {"images": w.greys(12)}, is_a(pd.DataFrame), dear=True
        ),
        "book.bands.Reference": Call(
            bands.Reference, lambda w: {"chapter": "vae", "profile": "quick"}, is_a(bands.Reference)
        ),
        "book.bands.Reference.verdict": Call(
            bands.Reference("vae", "quick").verdict,
            lambda w: {"metric": "a", "value": 1.0, "worse": "higher", "unit": "nats", "log": False},
            is_nothing,
        ),
        "book.bands.Reference.excludes": Call(
            bands.Reference("vae", "quick").excludes,
            lambda w: {"metric": "a", "value": 1.0, "worse": "higher", "log": False},
            is_a(bool),
        ),
        "book.bands.Reference.check": Call(
            bands.Reference("vae", "quick").check, lambda w: {"name": "a", "truth": True}, is_nothing
        ),
        "book.bands.Reference.find_band": Call(
            bands.Reference("vae", "quick").find_band,
            lambda w: {"metric": "a", "worse": "higher", "log": False},
            is_a(bands.Band, type(None)),
        ),
        "book.bands.form_band": Call(
            bands.form_band,
            lambda w: {"values": np.abs(w.points(12, 1)[:, 0]) + 1, "worse": "either", "log": False, "minimum": 3},
            lambda answer, given: isinstance(answer, bands.Band) and answer.low <= answer.high,
        ),
        "book.records.load": Call(records.load, lambda w: {"name": "measures"}, is_a(records.Record)),
        "book.records.load_published": Call(
            records.load_published, lambda w: {"table": "none"}, is_a(dict), (records.RecordError,)
        ),
        "book.records.Record.get": Call(RECORD.get, lambda w: {"metric": next(iter(RECORD.metrics))}, is_a(dict)),
        "book.records.Record.values": Call(
            RECORD.values, lambda w: {"metric": next(iter(RECORD.metrics))}, is_array(), (records.RecordError,)
        ),
        "book.records.Record.includes": Call(
            RECORD.includes,
            lambda w: {"metric": next(iter(RECORD.metrics)), "value": 1.0, "worse": "either", "log": False},
            is_a(bool),
            (records.RecordError, bands.BandError),
        ),
        "book.records.Record.format_table": Call(
            RECORD.format_table,
            lambda w: {"rows": ["a"], "columns": ["b"], "digits": 2},
            is_a(str),
            (records.RecordError,),
        ),
        "book.records.check": Call(records.check, lambda w: {"stored": RECORD.stored, "name": "measures"}, is_nothing),
        "book.corpus.load_topics": Call(corpus.load_topics, lambda w: {"texts": None}, is_a(list), dear=True),
        "book.corpus.split_paragraphs": Call(corpus.split_paragraphs, lambda w: {"text": "a\n\nb"}, is_a(list)),
        "book.datasets.load_german_credit": Call(
            datasets.load_german_credit,
            lambda w: {"path": datasets.FOLDER / "german_credit.csv"},
            is_a(pd.DataFrame),
            dear=True,
        ),
        "book.service.Service": Call(
            service.Service, lambda w: {"folder": Path(__file__)}, is_a(service.Service), (service.VersionError,)
        ),
        "book.service.Service.read": Call(
            lambda request: make_service().read(request), lambda w: {"request": {"count": 2, "seed": 1}}, is_a(tuple)
        ),
        "book.service.Service.answer": Call(
            answer_with, lambda w: {"requests": [{"count": 2, "seed": 1}, {"seed": 3}]}, is_a(list)
        ),
        "book.temperature.show_temperature": Call(
            temperature.show_temperature,
            lambda w: {"logits": {"a": w.points(12, 1)[:, 0]}, "tokens": list("abcdefghijkl"), "task": "Look."},
            is_nothing,
        ),
        "book.widgets.export_network": Call(widgets.export_network, lambda w: {"model": PLANE}, is_a(tuple)),
        "book.widgets.dequantise": Call(widgets.dequantise, lambda w: {"model": PLANE}, is_a(keras.Model), dear=True),
        "book.widgets.show_plane": Call(
            widgets.show_plane,
            lambda w: {"decoder": PLANE, "codes": w.points(size=2), "labels": w.labels(), "task": "Look."},
            is_nothing,
            dear=True,
        ),
    }
    return shown | drawn | built | trained | measured | kept


def tell(given: dict[str, Any]) -> str:
    """What was given, in a line."""
    return ", ".join(f"{name}={describe(value)}" for name, value in given.items())


def describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}"
    try:
        return repr(value)[:60]
    except Exception:  # some values are odd enough to have none
        return type(value).__name__


def complain(call: Call, given: dict[str, Any], spoiled: dict[str, Any]) -> str:
    """What is wrong with how a call ended; empty where nothing is."""
    options = given | {name: odd_input.unpack(value) for name, value in spoiled.items()}
    about = f"with {tell(spoiled) or 'good input'} among {', '.join(given)}"
    try:
        with odd_input.time_limit():
            answer = call.function(**options)
    except Exception as error:
        if odd_input.is_named(error, call.refusals) and (spoiled or isinstance(error, call.refusals)):
            return ""
        return f"{type(error).__module__}.{type(error).__name__} {about}: {str(error)[:200]}"
    return "" if call.allows(answer, options) else f"it gave {describe(answer)} {about}"


@st.composite
def choose_input(draw: st.DrawFn, call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """Good arguments of a call, and what stands in the place of some of them."""
    given = call.give(World(draw(st.integers(1, 7)), draw(st.integers(1, 4)), draw(st.integers(0, 9))))
    names = draw(st.lists(st.sampled_from(list(given)), max_size=2, unique=True))
    spoiled = {name: draw(st.one_of(odd_input.spoiled(given[name]), odd_input.odd_values())) for name in names}
    return given, spoiled


# Nothing is forgotten

LEFT_OUT = {  # what is in no table, and why
    "data.load_mnist": "takes nothing; its file is that of read_mnist_file",
    "data.load_small_digits": "takes nothing",
    "data.check_mnist": "a check itself, of what read_mnist_file gives",
    "data.check_cached_mnist": "a check itself, of Keras's own folder",
    "plotting.use_book_style": "takes nothing",
    "checkpoints.save_state": "test_fuzz_files",
    "checkpoints.restore_state": "test_fuzz_files",
    "book.score_samples.main": "takes the words of a command line: read_samples and compare are in the table",
    "book.service.main": "takes the words of a command line: Service is in the table",
    "book.service.Handler": "is called by the server of the standard library: test_service asks it over HTTP",
    "book.service.Server": "takes a Service, which is in the table",
    "book.service.Reply": "is made by Handler alone",
    "book.service.describe": "is called by save_version, of what a network draws",
    "book.service.draw_noise": "is called by answer, of what read lets through",
    "book.service.encode_png": "is called by Handler, of what answer lets through",
    "book.service.save_version": "takes a trained network of the reader's own: test_service",
    "book.service.train_generator": "trains twenty epochs; train_vae is in the table",
    "book.widgets.format_network": "is export_network as HTML",
    "book.widgets.show_steps": "takes a trained flow in the plane and a sheet of digits: test_widgets",
    "book.bands.find_tolerance_factor": "is called by form_band alone",
    "book.bands.find_results": "takes nothing",
    "book.bands.Band": "is made by form_band",
    "book.corpus.find_digest": "is called by load_topics alone",
    "book.records.Record": "is made by load",
    "book.records.show_full_run": "load, and then a picture",
    "book.records.show_full_numbers": "load, and then a table",
    "seeded.SeededModel": "GAN, VAE and FlowMatching are; their own __init__ looks first",
    "seeded.PairedOptimizers": "is made by GAN.compile",
    "checkpoints.FirstStep": "takes nothing; Keras calls its methods",
    "transformers.Positions": "is a part of the models that are built here",
    "data.Split": "a pair; who takes one looks at it",
    "data.Digits": "a tuple; who takes one looks at it",
    "scorecard.Score": "is made by Scorer.score",
}
INSIDE = {  # methods that Keras or the model itself calls, with what fit() and generate() have let through
    *("call", "train_step", "test_step", "get_config", "from_config", "get_compile_config", "compile_from_config"),
    *("tell_labels", "read_batch", "draw_noise", "find_share", "report", "guess_end", "find_loss", "find_velocity"),
    *("on_train_begin", "on_train_end", "on_epoch_end", "build"),
    *("finalize_variable_values", "save_own_variables", "load_own_variables"),
    *("judge", "do_GET", "do_POST", "show_checks", "describe_bands", "find_picture"),
    *("describe", "read"),
}
DOORS = ("arguments", "checks", "files", "leaks", "states")  # what the others call to look at what they were given
OWN = (  # of the book itself: they draw and tell what its chapters hand to them, and no exercise asks for them
    *("book.doctor", "book.full_runs", "book.mixing", "book.page", "book.prompts", "book.runs", "book.runtime"),
    "book.surroundings",
    "book.verdicts",
)


def find_public() -> set[str]:
    """Names of the functions, classes and methods that a learner can call, as "metrics.find_nearest"."""
    found = set()
    for info in pkgutil.walk_packages(helpers.__path__, "helpers."):
        short = info.name.removeprefix("helpers.")
        if info.ispkg or short in (*DOORS, *OWN):
            continue
        module = importlib.import_module(info.name)
        for name, one in vars(module).items():
            if name.startswith("_") or getattr(one, "__module__", None) != info.name:
                continue
            if isinstance(one, FunctionType) or (inspect.isclass(one) and not issubclass(one, Exception)):
                found.add(f"{short}.{name}")
            if inspect.isclass(one):
                methods = {method for method, part in vars(one).items() if isinstance(part, FunctionType | classmethod)}
                found |= {f"{short}.{name}.{method}" for method in methods - INSIDE if not method.startswith("_")}
    return found


def test_no_function_is_forgotten() -> None:
    known = {name.partition(",")[0] for name in calls()} | set(LEFT_OUT)
    assert sorted(find_public() - known) == []


def test_nothing_is_left_out_that_is_not_there() -> None:
    assert sorted(set(LEFT_OUT) - find_public()) == []


def test_a_new_function_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_more(images: np.ndarray) -> float:
        return float(images.mean())

    find_more.__module__ = metrics.__name__
    monkeypatch.setattr(metrics, "find_more", find_more, raising=False)
    assert "metrics.find_more" in find_public()


# The trial

TRIES, DEAR_TRIES = (12, 400), (3, 60)  # of each function: in `make test`, in `make soak`


def try_call(call: Call, count: int) -> tuple[int, str]:
    """How often a function was called, and what was wrong the first time that something was."""
    tried = 0

    @hypothesis.settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,  # complain() has one
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(choose_input(call))
    def try_once(both: tuple[dict, dict]) -> None:
        nonlocal tried
        tried += 1
        complaint = complain(call, *both)
        assert not complaint, complaint

    try:
        try_once()
    except AssertionError as error:
        return tried, str(error)
    return tried, ""


@pytest.mark.soak
def test_bad_input_ends_in_words(soak: Soak, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = calls()
    ended = {name: try_call(call, soak.choose(*(DEAR_TRIES if call.dear else TRIES))) for name, call in table.items()}
    assert {name: complaint for name, (_, complaint) in ended.items() if complaint} == {}
    soak.tell(
        "bad input ends in words",
        functions=len(table),
        calls_with_odd_input=sum(tried for tried, _ in ended.values()),
        silent_or_crashed=0,
    )


# What the trial would say to functions that are wrong

WRONG = {
    "a crash": lambda number: [1, 2, 3][number],
    "an answer that is none": lambda number: float("nan"),
    "an error without words": lambda number: (_ for _ in ()).throw(ValueError("no")),
    "a refusal of what is right": lambda number: metrics.count_classes(np.zeros(3)),
    "a hang": lambda number: time.sleep(9),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_function_is_caught(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odd_input, "MOST_SECONDS", 0.2)
    call = Call(WRONG[kind], lambda w: {"number": 7}, is_number())
    assert try_call(call, 5)[1]
