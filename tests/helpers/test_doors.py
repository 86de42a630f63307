"""Every door of helpers looks: what a docstring excludes ends in an error of the book's own, other forms in the answer.

Two tables: DOORS says how each function is called rightly, and of what kind each argument is; BAD says what else people
give for that kind. A door that is not in the table, though a learner could walk through it, is found by a test.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import keras
import matplotlib
import numpy as np
import pytest
import tensorflow as tf

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from helpers import (
    checkpoints,
    data,
    diagnosis,
    flow,
    leaks,
    losses,
    metrics,
    models,
    networks,
    plotting,
    scorecard,
    training,
    transformers,
)
from helpers.book import score_samples, widgets
from helpers.checks import ImageError
from tests.soaking import Soak

COUNT = 120
RNG = np.random.default_rng(0)
GREY = RNG.random((COUNT, 28, 28, 1), dtype=np.float32)
OTHERS = RNG.random((COUNT, 28, 28, 1), dtype=np.float32)
BINARY = np.round(GREY)
LABELS = np.arange(COUNT) % 10
POINTS = RNG.normal(size=(COUNT, 4))
LATENT = RNG.normal(size=(COUNT, 3)).astype(np.float32)
PLANE = RNG.normal(size=(COUNT, 2)).astype(np.float32)
LOGITS = RNG.normal(size=GREY.shape).astype(np.float32)
RAGGED = [[1.0, 2.0], [1.0]]
CURVES = {"d_real": [0.5] * 8, "d_fake": [0.5] * 8, "spread": [1.0] * 8}
NOT_NUMBERS = {"text": "3", "nothing": None, "NaN": np.nan, "a list": [3], "a truth": True}
SHOWN = {  # of pictures of any size
    "-1..1": GREY * 2 - 1,
    "0..255": GREY * 255,
    "bytes": (GREY * 255).astype(np.uint8),
    "infinite": np.where(GREY > 0.9, np.inf, GREY),
    "text": GREY.astype(str),
    "ragged": [GREY[0], GREY[0, :20]],
    "nothing": None,
    "a pair": (GREY, LABELS),
}
SHAPES = {"no channel": GREY[..., 0], "one image": GREY[0], "flat": GREY.reshape(COUNT, -1), "colour": np.tile(GREY, 3)}
NUMBERS = {
    "text": POINTS.astype(str),
    "ragged": RAGGED,
    "nothing": None,
    "NaN": np.where(POINTS > 1, np.nan, POINTS),
    "infinite": np.where(POINTS > 1, np.inf, POINTS),
    "a number": 3.0,
    "none": POINTS[:0],
    "complex": POINTS + 1j,
}
TENSORS = {"text": GREY.astype(str), "ragged": RAGGED, "nothing": None, "whole": GREY.astype(int), "empty": GREY[:0]}
BAD: dict[str, dict[str, Any]] = {
    "count": NOT_NUMBERS | {"zero": 0, "negative": -1, "fraction": 2.5},
    "from 0": NOT_NUMBERS | {"negative": -1, "fraction": 2.5},
    "rate": NOT_NUMBERS | {"zero": 0.0, "negative": -0.1, "infinite": np.inf},
    "weight": NOT_NUMBERS | {"negative": -0.1, "infinite": np.inf},
    "share": NOT_NUMBERS | {"negative": -0.1, "one": 1.0},
    "seed": NOT_NUMBERS | {"negative": -1, "fraction": 1.5},
    "short seed": NOT_NUMBERS | {"negative": -1, "fraction": 1.5, "too large": 2**64, "a pair": (1, 2)},
    "widths": {"a number": 64, "text": "64", "zero": (0,), "negative": (8, -8), "fraction": (2.5,), "nothing": None},
    "word": {"another": "fast", "nothing": None, "a list": ["quick"], "a number": 1},
    "images": SHOWN
    | SHAPES
    | {"a list": GREY.tolist(), "double": GREY.astype(float), "size": np.tile(GREY, (1, 2, 2, 1))},
    "pictures": SHOWN | {"no channel": GREY[..., 0], "one": GREY[0], "colour": np.tile(GREY, 3), "a list": [*GREY]},
    "grey": {name: SHOWN[name] for name in SHOWN},
    "scans": {
        "0..16": GREY[:, :8, :8, 0] * 16,
        "NaN": GREY[:, :8, :8, 0] * np.nan,
        "flat": GREY[:, :8, :8, 0].reshape(-1, 64),
    }
    | {name: NUMBERS[name] for name in ("text", "ragged", "nothing", "none", "a number")},
    "values": {name: NUMBERS[name] for name in ("text", "ragged", "nothing", "NaN", "infinite")},
    "labels": {
        "fewer": LABELS[:-1],
        "from 1": LABELS + 1,
        "negative": LABELS - 1,
        "fractions": LABELS + 0.5,
        "text": LABELS.astype(str),
        "one-hot": np.eye(10)[LABELS],
        "a column": LABELS[:, None],
        "NaN": np.where(LABELS > 8, np.nan, LABELS),
        "ragged": RAGGED,
        "nothing": None,
    },
    "latent": NUMBERS | {"one vector": LATENT[0], "other size": LATENT[:, :1], "cube": LATENT[None]},
    "points": NUMBERS,
    "tensor": TENSORS,
    "logits": TENSORS | {"flat": LOGITS.reshape(COUNT, -1), "another type": LOGITS.astype(np.float64)},
    "tokens": {
        "fractions": [[0.5, 1.0]],
        "beyond": [[1, 99]],
        "negative": [[1, -1]],
        "one": [1, 2],
        "ragged": [[1], [1, 2]],
    }
    | {"text": [["1"]], "nothing": None},
    "history": {"no table": [1.0], "text": CURVES | {"spread": ["1"] * 8}, "ragged": CURVES | {"spread": RAGGED}}
    | {
        "short": {name: some[:3] for name, some in CURVES.items()},
        "fewer": CURVES | {"spread": [1.0] * 7},
        "nothing": None,
    },
    "rows": {"unequal": {"a": GREY[:3], "b": GREY[:2], "c": GREY[:3]}, "more": {"a": GREY[:2], "b": GREY[:3]}}
    | {"no table": GREY, "none": {}, "flat": {"a": GREY[..., 0]}, "bytes": {"a": (GREY * 255).astype(np.uint8)}},
    "digits": {"a split": data.Split(GREY, LABELS), "nothing": None},
    "epochs": {"a number": 3, "text": "3", "negative": (-1,), "fraction": (0.5,), "nothing": None},
    "file": {"a folder": Path(__file__).parent, "nothing": None, "a number": 3},
}


class Door(NamedTuple):
    """How a function is called rightly, and which of BAD each argument is to be tried with."""

    call: Callable
    given: dict[str, Any]
    kinds: dict[str, str]
    but: tuple[str, ...] = ()  # what this one takes, though others of the kind do not


def with_axes(draw: Callable) -> Callable:
    """A function that draws, on axes of its own."""

    def call(**options: Any) -> Any:
        figure, ax = plt.subplots()
        try:
            return draw(ax, **options)
        finally:
            plt.close(figure)

    return call


def build_gan() -> models.GAN:
    return models.GAN(networks.build_dense_generator(3, (4,)), networks.build_dense_discriminator((4,)))


def build_conditional() -> models.ConditionalGAN:
    discriminator = networks.give_each_class_a_logit(networks.build_dense_discriminator((4,)))
    return models.ConditionalGAN(networks.build_dense_generator(13, (4,)), discriminator)


def build_vae() -> models.VAE:
    return models.VAE(networks.build_dense_encoder(3, (4,)), networks.build_dense_decoder(3, (4,)))


GAN, CONDITIONAL, VAE = build_gan(), build_conditional(), build_vae()
FLOW = flow.FlowMatching(networks.build_dense_flow(22, 4, 1), classes=10)
WRITER = transformers.build_generator(transformers.build_decoder_only(5, 6, width=4, heads=1, blocks=1))
READER = transformers.build_generator(transformers.build_encoder_decoder(5, 4, 6, width=4, heads=1, blocks=1))
SPLIT = data.Split(GREY, LABELS)
DIGITS = data.Digits("scikit-learn digits", SPLIT, SPLIT, data.Split(OTHERS, LABELS))
SIZES = {"batch_size": 8, "steps_per_epoch": 1, "epochs": 1, "learning_rate": 1e-3}
KINDS_OF_SIZES = {"batch_size": "count", "steps_per_epoch": "count", "epochs": "count", "learning_rate": "rate"}


def doors() -> dict[str, Door]:
    real, fake, samples = {"real": POINTS}, {"fake": POINTS + 1}, {"images": GREY, "references": OTHERS}
    both = {"real": "points", "fake": "points"}
    four = {"images": GREY[:50], "train": GREY, "held_out": OTHERS[:60], "fresh": OTHERS[60:]}
    pair, logits = {"mean": LATENT, "log_variance": LATENT}, {"real_logits": LOGITS, "fake_logits": LOGITS}
    sizes = {"vocabulary": 5, "length": 6, "width": 4, "heads": 1, "blocks": 1}
    layers, counts = {"latent_size": 3, "widths": (4,)}, dict.fromkeys(sizes, "count")
    drawn = {"latent": LATENT, "labels": LABELS}
    noise = RNG.normal(size=(2, 784))
    axes = {
        "plotting.show_images": Door(
            with_axes(plotting.show_images), {"images": GREY, "columns": 10}, {"images": "pictures", "columns": "count"}
        ),
        "plotting.show_rows": Door(
            with_axes(plotting.show_rows), {"rows": {"a": GREY[:3], "b": GREY[:3]}}, {"rows": "rows"}
        ),
        "plotting.plot_curves": Door(
            with_axes(plotting.plot_curves),
            {"curves": {"a": [1, 2]}, "x": [0, 1], "xlabel": "x", "ylabel": "y"},
            {"x": "curve"},
        ),
        "plotting.label_lines": Door(with_axes(plotting.label_lines), {"gap": 1.2}, {"gap": "rate"}),
        "plotting.plot_latent_plane": Door(
            with_axes(plotting.plot_latent_plane),
            {"latent": PLANE, "labels": LABELS},
            {"latent": "latent", "labels": "labels"},
        ),
        "plotting.tile_images": Door(
            plotting.tile_images,
            {"images": GREY, "columns": 10, "gap": 2},
            {"images": "pictures", "columns": "count", "gap": "from 0"},
        ),
        "plotting.describe_digits": Door(
            plotting.describe_digits, {"labels": LABELS}, {"labels": "labels"}, ("fewer",)
        ),
        "plotting.reduce_colours": Door(
            lambda colours: plotting.reduce_colours(plt.figure(figsize=(1, 1)), colours),
            {"colours": 16},
            {"colours": "count"},
        ),
    }
    BAD["curve"] = {"fewer": [0], "more": [0, 1, 2]}
    return (
        axes
        | {
            "data.load": Door(data.load, {"profile": "quick"}, {"profile": "word"}),
            "data.draw_pen_strokes": Door(data.draw_pen_strokes, {"scans": GREY[:2, :8, :8, 0]}, {"scans": "scans"}),
            "data.enlarge": Door(data.enlarge, {"scans": GREY[:2, :8, :8, 0]}, {"scans": "scans"}),
            "data.decide_ink": Door(data.decide_ink, {"points": POINTS}, {"points": "values"}),
            "data.make_batches": Door(
                data.make_batches,
                {"images": GREY, "batch_size": 8, "seed": 0, "held_out": OTHERS, "labels": LABELS, "start": 0},
                {
                    "images": "images",
                    "batch_size": "count",
                    "seed": "short seed",
                    "held_out": "held out",
                    "labels": "labels",
                    "start": "from 0",
                },
                ("from 1", "nothing"),  # how many classes there are nobody knows here, and it needs no labels
            ),
            "data.refuse_held_out": Door(
                data.refuse_held_out,
                {"images": GREY, "held_out": OTHERS},
                {"images": "held out", "held_out": "held out"},
            ),
            "data.draw_binary": Door(data.draw_binary, {"images": GREY, "seed": 0}, {"images": "grey", "seed": "seed"}),
            "data.draw_class_gaussians": Door(
                data.draw_class_gaussians,
                {"split": SPLIT, "labels": LABELS, "seed": 0},
                {"split": "split", "labels": "labels", "seed": "seed"},
                ("fewer",),
            ),
            "data.center_by_mass": Door(
                data.center_by_mass, {"images": GREY[:3]}, {"images": "pictures"}, ("-1..1", "0..255", "bytes")
            ),
            "losses.kl_to_standard_normal": Door(losses.kl_to_standard_normal, pair, dict.fromkeys(pair, "tensor")),
            "losses.bernoulli_log_likelihood": Door(
                losses.bernoulli_log_likelihood,
                {"images": GREY, "logits": LOGITS},
                {"images": "logits", "logits": "logits"},
            ),
            "losses.normal_log_density": Door(
                losses.normal_log_density,
                {"values": LATENT} | pair,
                dict.fromkeys(("values", *pair), "tensor"),
                ("whole",),
            ),
            "losses.reparameterise": Door(
                losses.reparameterise, {"noise": LATENT} | pair, dict.fromkeys(("noise", *pair), "tensor")
            ),
            "losses.discriminator_loss": Door(losses.discriminator_loss, logits, dict.fromkeys(logits, "tensor")),
            "losses.generator_loss": Door(losses.generator_loss, {"fake_logits": LOGITS}, {"fake_logits": "tensor"}),
            "losses.gradient_penalty": Door(losses.gradient_penalty, {"gradients": LOGITS}, {"gradients": "tensor"}),
            "networks.build_classifier": Door(
                networks.build_classifier, {"feature_size": 4}, {"feature_size": "count"}
            ),
            "networks.build_dense_generator": Door(
                networks.build_dense_generator, layers, {"latent_size": "count", "widths": "widths"}
            ),
            "networks.build_dense_encoder": Door(
                networks.build_dense_encoder, layers, {"latent_size": "count", "widths": "widths"}
            ),
            "networks.build_dense_decoder": Door(
                networks.build_dense_decoder, layers, {"latent_size": "count", "widths": "widths"}
            ),
            "networks.build_dense_discriminator": Door(
                networks.build_dense_discriminator, {"widths": (4,)}, {"widths": "widths"}
            ),
            "networks.build_convolutional_generator": Door(
                networks.build_convolutional_generator,
                {"latent_size": 3, "channels": 2},
                {"latent_size": "count", "channels": "count"},
            ),
            "networks.build_convolutional_discriminator": Door(
                networks.build_convolutional_discriminator, {"channels": 2}, {"channels": "count"}
            ),
            "networks.build_dense_flow": Door(
                networks.build_dense_flow,
                {"told": 12, "width": 4, "blocks": 1},
                {"told": "from 0", "width": "count", "blocks": "from 0"},
            ),
            "networks.give_each_class_a_logit": Door(
                lambda classes: networks.give_each_class_a_logit(networks.build_dense_discriminator((4,)), classes),
                {"classes": 3},
                {"classes": "count"},
            ),
            "models.GAN": Door(
                lambda **options: models.GAN(GAN.generator, GAN.discriminator, **options),
                {"seed": 0, "penalty_weight": 1.0},
                {"seed": "seed", "penalty_weight": "weight"},
            ),
            "models.GAN.generate": Door(GAN.generate, {"latent": LATENT}, {"latent": "latent"}, ("none",)),
            "models.GAN.sample": Door(GAN.sample, {"count": 2, "seed": 0}, {"count": "count", "seed": "seed"}),
            "models.ConditionalGAN.generate": Door(
                CONDITIONAL.generate, drawn, {"latent": "latent", "labels": "labels"}, ("nothing",)
            ),
            "models.VAE": Door(
                lambda **options: models.VAE(VAE.encoder, VAE.decoder, **options),
                {"seed": 0, "kl_weight": 1.0},
                {"seed": "seed", "kl_weight": "weight"},
            ),
            "models.VAE.encode": Door(VAE.encode, {"images": GREY}, {"images": "images"}),
            "models.VAE.reconstruct": Door(VAE.reconstruct, {"images": GREY}, {"images": "images"}),
            "models.VAE.decode": Door(VAE.decode, {"latent": LATENT}, {"latent": "latent"}, ("none",)),
            "models.VAE.sample": Door(VAE.sample, {"count": 2, "seed": 0}, {"count": "count", "seed": "seed"}),
            "models.VAE.log_weights": Door(
                VAE.log_weights,
                {"images": BINARY[:2], "samples": 2, "seed": 0, "batch_size": 2, "draws_at_once": 2},
                {
                    "images": "binary",
                    "samples": "count",
                    "seed": "seed",
                    "batch_size": "count",
                    "draws_at_once": "count",
                },
            ),
            "models.VAE.compute_terms": Door(
                lambda images: VAE.compute_terms(images, 0, False), {"images": GREY}, {"images": "shapes"}
            ),
            "models.draw_latent": Door(
                models.draw_latent,
                {"count": 2, "latent_size": 3, "seed": 0},
                {"count": "count", "latent_size": "count", "seed": "seed"},
            ),
            "flow.FlowMatching": Door(
                lambda **options: flow.FlowMatching(FLOW.network, **options),
                {"seed": 0, "classes": 10},
                {"seed": "seed", "classes": "from 0"},
            ),
            "flow.FlowMatching.generate": Door(
                FLOW.generate,
                {"latent": noise, "labels": [1, 2], "steps": 1},
                {"latent": "latent", "labels": "labels", "steps": "count"},
                ("nothing", "none", "a truth"),
            ),
            "flow.FlowMatching.sample": Door(FLOW.sample, {"count": 2, "seed": 0}, {"count": "count", "seed": "seed"}),
            "flow.describe_time": Door(flow.describe_time, {"time": LATENT[:, :1]}, {"time": "time"}),
            "flow.flow_loss": Door(
                flow.flow_loss,
                {"guess": LATENT, "target": LATENT, "time": LATENT[:, :1]},
                {"guess": "tensor", "target": "tensor", "time": "time"},
            ),
            "flow.follow_euler": Door(
                lambda **options: flow.follow_euler(lambda state, time: state, **options),
                {"state": LATENT, "steps": 2},
                {"state": "tensor", "steps": "count"},
            ),
            "flow.follow_heun": Door(
                lambda **options: flow.follow_heun(lambda state, time: state, **options),
                {"state": LATENT, "steps": 2},
                {"state": "tensor", "steps": "count"},
            ),
            "metrics.frechet_distance": Door(metrics.frechet_distance, real | fake, both),
            "metrics.tell_apart": Door(metrics.tell_apart, real | fake | {"seed": 0}, both | {"seed": "short seed"}),
            "metrics.measure_coverage": Door(
                metrics.measure_coverage, real | fake | {"neighbours": 2}, both | {"neighbours": "count"}
            ),
            "metrics.importance_weighted_nll": Door(
                metrics.importance_weighted_nll, {"log_weights": POINTS}, {"log_weights": "points"}
            ),
            "metrics.bernoulli_mixture_nll": Door(
                metrics.bernoulli_mixture_nll,
                {"images": BINARY, "components": GREY},
                {"images": "priced", "components": "components"},
            ),
            "metrics.smooth_mean": Door(metrics.smooth_mean, {"images": GREY}, {"images": "grey"}),
            "metrics.count_classes": Door(
                metrics.count_classes,
                {"labels": LABELS, "minimum_share": 0.01},
                {"labels": "labels", "minimum_share": "rate"},
                ("fewer", "from 1"),
            ),
            "metrics.find_nearest": Door(metrics.find_nearest, samples, dict.fromkeys(samples, "points")),
            "metrics.measure_memorisation": Door(metrics.measure_memorisation, four, dict.fromkeys(four, "points")),
            "diagnosis.measure_spread": Door(diagnosis.measure_spread, {"images": GREY}, {"images": "spread"}),
            "diagnosis.diagnose": Door(diagnosis.diagnose, {"history": CURVES}, {"history": "history"}),
            "diagnosis.compare_quarters": Door(diagnosis.compare_quarters, {"values": [1.0] * 8}, {"values": "series"}),
            "diagnosis.SpreadRecorder": Door(
                lambda real: diagnosis.SpreadRecorder(GAN.generate, LATENT, real), {"real": GREY}, {"real": "spread"}
            ),
            "scorecard.Scorer": Door(scorecard.Scorer, {"digits": DIGITS}, {"digits": "digits"}),
            "scorecard.load_classifier": Door(
                scorecard.load_classifier, {"name": "classifier_digits.npz"}, {"name": "word"}
            ),
            "training.train_gan": Door(
                lambda digits, **options: training.train_gan(GAN, digits, **options),
                {"digits": DIGITS} | SIZES | {"beta_1": 0.5, "beta_2": 0.9},
                {"digits": "trained"} | KINDS_OF_SIZES | {"beta_1": "share", "beta_2": "share"},
            ),
            "training.train_vae": Door(
                lambda digits, **options: training.train_vae(VAE, digits, **options),
                {"digits": DIGITS, "validation": BINARY} | SIZES,
                {"digits": "trained", "validation": "binary"} | KINDS_OF_SIZES,
                ("nothing",),
            ),
            "training.train_flow": Door(
                lambda digits, **options: training.train_flow(FLOW, digits, **options),
                {"digits": DIGITS} | SIZES | {"beta_2": 0.9},
                {"digits": "trained"} | KINDS_OF_SIZES | {"beta_2": "share"},
            ),
            "training.build_optimizer": Door(
                training.build_optimizer,
                {"learning_rate": 1e-3, "steps": 5, "beta_1": 0.0, "beta_2": 0.9},
                {"learning_rate": "rate", "steps": "count", "beta_1": "share", "beta_2": "share"},
            ),
            "training.find_steps_per_call": Door(
                training.find_steps_per_call, {"steps_per_epoch": 50}, {"steps_per_epoch": "count"}
            ),
            "training.SampleRecorder": Door(
                lambda epochs: training.SampleRecorder(GAN.generate, LATENT, epochs),
                {"epochs": range(3)},
                {"epochs": "epochs"},
            ),
            "checkpoints.Checkpoint": Door(checkpoints.Checkpoint, {"file": "a file.npz"}, {"file": "file"}),
            "transformers.build_decoder_only": Door(transformers.build_decoder_only, sizes, counts),
            "transformers.build_encoder_only": Door(transformers.build_encoder_only, sizes, counts),
            "transformers.build_encoder_decoder": Door(
                transformers.build_encoder_decoder, sizes | {"source_length": 4}, counts | {"source_length": "count"}
            ),
            "transformers.generate": Door(
                WRITER, {"tokens": [[1, 2]], "count": 2}, {"tokens": "tokens", "count": "from 0"}
            ),
            "transformers.generate, source": Door(
                READER,
                {"tokens": [[1, 2]], "count": 2, "source": [[1, 2, 3]]},
                {"tokens": "tokens", "source": "source"},
            ),
            "score_samples.make_images": Door(score_samples.make_images, {"array": GREY}, {"array": "scored"}),
            "score_samples.choose": Door(
                score_samples.choose, {"images": GREY, "count": 3}, {"images": "chosen", "count": "count"}
            ),
            "score_samples.find_warnings": Door(score_samples.find_warnings, {"images": GREY}, {"images": "images"}),
            "score_samples.read_samples": Door(score_samples.read_samples, {}, {"path": "samples"}),
            "widgets.show_plane": Door(
                lambda **given: widgets.show_plane(networks.build_dense_decoder(2, (4,)), **given, task="Look."),
                {"codes": PLANE, "labels": LABELS},
                {"codes": "latent", "labels": "labels"},
            ),
            "GAN.fit": Door(
                GAN.fit,
                {"x": GREY, "epochs": 1, "batch_size": 8},
                {"x": "fitted", "epochs": "from 0", "batch_size": "size"},
            ),
            "VAE.fit": Door(
                VAE.fit,
                {"x": GREY, "validation_data": BINARY},
                {"x": "fitted", "validation_data": "fitted"},
                ("nothing",),
            ),
            "GAN.evaluate": Door(
                GAN.evaluate, {"x": GREY, "batch_size": 8, "verbose": 0}, {"x": "fitted", "batch_size": "size"}
            ),
            "ConditionalGAN.evaluate": Door(
                CONDITIONAL.evaluate, {"x": GREY, "y": LABELS, "verbose": 0}, {"x": "fitted", "y": "labels"}
            ),
            "ConditionalGAN.fit": Door(CONDITIONAL.fit, {"x": GREY, "y": LABELS}, {"x": "fitted", "y": "labels"}),
            "FlowMatching.fit": Door(FLOW.fit, {"x": GREY, "y": LABELS}, {"x": "fitted", "y": "labels"}),
        }
    )


def leave_out(kind: str, *names: str) -> dict[str, Any]:
    return {name: bad for name, bad in BAD[kind].items() if name not in names}


def tensors_of(images: dict[str, Any]) -> dict[str, Any]:
    """The same as tensors, as far as TensorFlow knows such."""
    return {
        f"{name}, tensor": tf.constant(some)
        for name, some in images.items()
        if isinstance(some, np.ndarray) and some.dtype.kind in "fu"
    }


BAD["held out"] = {name: NUMBERS[name] for name in ("text", "ragged", "nothing", "NaN", "a number")} | {
    "size": np.zeros((3, 5, 5))
}
BAD["size"] = leave_out("count", "nothing")
BAD["split"] = {
    "a pair": (GREY, LABELS),
    "fewer labels": data.Split(GREY, LABELS[:5]),
    "lists": data.Split([*GREY], LABELS),
    "a list of labels": data.Split(GREY, LABELS.tolist()),
    "bytes": data.Split((GREY * 255).astype(np.uint8), LABELS),
}
BAD["binary"] = BAD["images"] | {"grey": GREY}
BAD["shapes"] = SHAPES | {
    "a list": GREY.tolist(),
    "text": GREY.astype(str),
    "nothing": None,
    "bytes": (GREY * 255).astype(np.uint8),
}
BAD["priced"] = NUMBERS | {"grey": GREY, "another size": BINARY[:, 1:], "0..255": BINARY * 255}
BAD["components"] = NUMBERS | {"-1..1": GREY * 2 - 1, "0..255": GREY * 255, "another size": GREY[:, 1:]}
BAD["time"] = TENSORS | {"no column": LATENT[:, 0], "two columns": LATENT[:, :2]}
BAD["spread"] = {name: NUMBERS[name] for name in ("text", "ragged", "nothing", "a number")} | {
    "one": GREY[:1],
    "size": GREY[:, 1:],
}
BAD["series"] = {"short": [1.0] * 3, "text": ["1"] * 8, "ragged": RAGGED, "nothing": None, "a number": 1.0}
BAD["trained"] = BAD["digits"] | {
    "leak": DIGITS._replace(test=SPLIT),
    "leak of bytes": DIGITS._replace(test=data.Split((GREY[:1] * 255).astype(np.uint8), LABELS[:1])),
    "bytes": DIGITS._replace(train=data.Split((GREY * 255).astype(np.uint8), LABELS)),
    "fewer than a batch": DIGITS._replace(train=data.Split(GREY[:5], LABELS[:5])),
}
BAD["digits"] |= {
    "bytes": DIGITS._replace(train=data.Split((GREY * 255).astype(np.uint8), LABELS)),
    "0..255": DIGITS._replace(train=data.Split(GREY * 255, LABELS)),
    "0..255 to test": DIGITS._replace(test=data.Split(OTHERS * 255, LABELS)),
    "-1..1": DIGITS._replace(validation=data.Split(GREY * 2 - 1, LABELS)),
    "fewer labels": DIGITS._replace(test=data.Split(OTHERS, LABELS[:-1])),
    "letters": DIGITS._replace(test=data.Split(OTHERS, LABELS + 1)),
    "another name": DIGITS._replace(name="letters"),
    "leak": DIGITS._replace(test=SPLIT),
}
BAD["source"] = BAD["tokens"] | {"none": np.zeros((1, 0)), "long": [[1] * 9], "two": [[1], [1]]}
BAD["scored"] = leave_out("images", "bytes", "no channel", "a list", "double") | {"ragged": RAGGED}
BAD["chosen"] = {"fewer": GREY[:2], "text": [["a"]], "ragged": RAGGED, "nothing": None}
BAD["samples"] = {"a folder": Path(__file__).parent, "its name": str(Path(__file__).parent), "none": "no such file.npz"}
BAD["fitted"] = leave_out("images", "double") | {"empty": GREY[:0], "NaN": np.where(GREY > 0.9, np.nan, GREY)}
BAD["fitted"] |= tensors_of(BAD["fitted"])


@pytest.fixture(scope="module")
def table() -> dict[str, Door]:
    """The doors, with models that could be trained."""
    for model, optimizers in ((GAN, 2), (CONDITIONAL, 2), (VAE, 1), (FLOW, 1)):
        model.compile(*(keras.optimizers.SGD(0.0) for _ in range(optimizers)))
    return doors()


def knock(door: Door, name: str, bad: Any) -> str:
    """What the door says to one bad argument; empty where it refuses with an error of the book's own."""
    try:
        found = door.call(**door.given | {name: bad})
    except Exception as error:
        if type(error).__module__.startswith("helpers") and len(str(error)) > 20:
            return ""
        return f"{type(error).__name__}: {str(error)[:120]}"
    return f"took it, and gave {str(found)[:60]}"


def knock_with_all(door: Door) -> dict[tuple[str, str], str]:
    """What the door says to each bad argument."""
    return {
        (argument, bad): knock(door, argument, value)
        for argument, kind in door.kinds.items()
        for bad, value in BAD[kind].items()
        if bad not in door.but
    }


@pytest.mark.parametrize("name", doors())
def test_what_a_docstring_excludes_is_refused_by_name(name: str, table: dict[str, Door]) -> None:
    said = knock_with_all(table[name])
    assert said
    assert {case: answer for case, answer in said.items() if answer} == {}


@pytest.mark.soak
def test_doors_are_counted(table: dict[str, Door], soak: Soak) -> None:
    """The same once more, for the figures of the page of promises."""
    tried = {name: knock_with_all(table[name]) for name in [*table][: soak.choose(3, len(table))]}
    soak.tell("bad input ends in words", doors=len(tried), bad_inputs_at_doors=sum(map(len, tried.values())))
    assert not any(answer for said in tried.values() for answer in said.values())


def test_each_door_lets_the_right_thing_through(table: dict[str, Door]) -> None:
    for name, door in table.items():
        if ".fit" not in name and ".train_" not in name and name not in ELSEWHERE:
            door.call(**door.given)


# What the table does not hold, and why
ELSEWHERE = {
    "scorecard.Scorer": "needs images that its classifier knows: test_scorecard",
    "score_samples.read_samples": "needs a file: test_score_samples",
    "checkpoints.Checkpoint": "its file is read by fit",
}
LEFT_OUT = {
    "checkpoints.save_state": "test_states",
    "checkpoints.restore_state": "test_states",
    "data.check_cached_mnist": "a check itself",
    "data.check_mnist": "a check itself",
    "data.load_mnist": "takes nothing",
    "data.load_small_digits": "takes nothing",
    "data.read_mnist_file": "test_data has its files",
    "networks.build_feature_extractor": "takes a network",
    "plotting.use_book_style": "takes nothing",
    "transformers.apply_block": "is called with parts of a network; its sizes are those of build_decoder_only",
    "transformers.build_generator": "takes a network; what it returns is in the table as transformers.generate",
    "transformers.find_attention": "takes a network",
    "score_samples.compare": "test_score_samples",
    "score_samples.main": "test_score_samples",
}
MODULES = (
    checkpoints,
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
    score_samples,
)


def public_functions(module: ModuleType) -> list[str]:
    short = module.__name__.rpartition(".")[2]
    found = inspect.getmembers(module, inspect.isfunction)
    return [f"{short}.{name}" for name, one in found if one.__module__ == module.__name__ and name[0] != "_"]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_door_is_forgotten(module: ModuleType) -> None:
    functions = public_functions(module)
    assert set(functions) - set(doors()) - set(LEFT_OUT) == set()


def test_nothing_is_left_out_that_is_not_there() -> None:
    assert set(LEFT_OUT) <= {name for module in MODULES for name in public_functions(module)}


# Other forms of the same array: the same answer, or an error of the book's own

FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "a list": lambda array: array.tolist(),
    "a tuple of rows": lambda array: (*array,),
    "double": lambda array: array.astype(np.float64) if array.dtype.kind == "f" else array.astype(np.int32),
    "half": lambda array: np.asarray(array, np.float16) if array.dtype.kind == "f" else array.astype(np.uint8),
    "Fortran's order": np.asfortranarray,
    "with gaps": lambda array: np.repeat(array, 2, axis=0)[::2],
    "backwards in memory": lambda array: np.ascontiguousarray(array[::-1])[::-1],
    "for reading only": lambda array: lock(array.copy()),
    "a tensor": tf.constant,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
}


def lock(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def as_numbers(answer: Any) -> list[np.ndarray]:
    """What a door gave, as arrays that can be compared; figures, streams and callbacks are only asked not to fail."""
    parts = answer if isinstance(answer, tuple | list) else [answer]
    return [np.asarray(part, np.float64) for part in parts if isinstance(part, np.ndarray | tf.Tensor | float | int)]


@pytest.mark.parametrize("name", doors())
def test_other_forms_give_the_same_answer_or_a_clear_error(name: str, table: dict[str, Door]) -> None:
    door, wrong = table[name], {}
    arrays = {key: value for key, value in door.given.items() if isinstance(value, np.ndarray)}
    if not arrays or ".train_" in name or ".fit" in name:
        return
    right = as_numbers(door.call(**door.given))
    for argument, array in arrays.items():
        for form, change in FORMS.items():
            given = change(array)
            try:
                answer = as_numbers(door.call(**door.given | {argument: given}))
            except Exception as error:
                if not type(error).__module__.startswith("helpers"):
                    wrong[argument, form] = f"{type(error).__name__}: {str(error)[:150]}"
                continue
            if form == "half" and name == "data.draw_binary":
                continue  # other greys are other chances
            near = 0.02 if form == "half" else 1e-5
            if not all(np.allclose(one, other, near, near) for one, other in zip(answer, right, strict=True)):
                wrong[argument, form] = "another answer"
    assert wrong == {}


# Held-out images are found in whatever form they come (f07), and the error counts training images

BYTES = RNG.integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)
IMAGES = (BYTES / 255).astype(np.float32)
HELD_OUT = {
    "as they are": IMAGES[:5],
    "bytes": BYTES[:5],
    "0..255": BYTES[:5].astype(np.float32),
    "bytes as whole numbers": BYTES[:5].astype(np.int64),
    "-1..1": IMAGES[:5] * 2 - 1,
    "bytes cut off": (GREY[:5] * 255).astype(np.uint8),
    "double": BYTES[:5] / 255,
    "half": IMAGES[:5].astype(np.float16),
    "no channel": IMAGES[:5, ..., 0],
    "flat bytes": BYTES[:5].reshape(5, -1),
    "channels first": np.moveaxis(IMAGES[:5], -1, 1),
    "one image": IMAGES[0],
    "one image, flat": IMAGES[:1].reshape(1, -1),
    "a list": IMAGES[:5].tolist(),
    "a tensor": tf.constant(IMAGES[:5]),
    "among others": np.concatenate([OTHERS, IMAGES[:5]]),
}


@pytest.mark.parametrize("form", HELD_OUT)
def test_held_out_images_are_found_in_any_form(form: str) -> None:
    images = GREY if form == "bytes cut off" else IMAGES
    count = 1 if "one" in form else 5
    with pytest.raises(data.LeakError, match=f"^{count} of the {len(images)} training images are held out"):
        data.make_batches(images, 8, 0, HELD_OUT[form])


@pytest.mark.parametrize(("images", "count"), [([0, 0, 0, 1], 3), ([0, 1, 2, 3], 1), ([0] * 4, 4)], ids=str)
def test_a_leak_counts_training_images(images: list[int], count: int) -> None:
    for held_out in (IMAGES[:1], BYTES[:1], np.repeat(BYTES[:1], 3, axis=0)):
        with pytest.raises(data.LeakError, match=f"^{count} of the 4 training images"):
            data.refuse_held_out(IMAGES[images], held_out)


@pytest.mark.parametrize("form", ["bytes", "-1..1", "as they are"])
def test_other_images_are_no_leak(form: str) -> None:
    held_out = {"bytes": (OTHERS * 255).astype(np.uint8), "-1..1": OTHERS * 2 - 1, "as they are": OTHERS}[form]
    assert not leaks.find_shared(GREY, held_out).any()
    moved = np.roll(GREY, 1, axis=2)
    assert not leaks.find_shared(GREY, moved).any()
    assert not leaks.find_shared(GREY, GREY + np.float32(2 / 255) * (np.arange(28) == 14)[:, None]).any()


def test_real_digits_are_no_leak_to_a_level(digits: data.Digits) -> None:
    as_bytes = (digits.test.images * 255).astype(np.uint8)
    assert not leaks.find_shared(digits.train.images, as_bytes).any()
    assert leaks.find_shared(digits.test.images, as_bytes).all()


# The situations of the reports, against the interface of today


def test_a_scorecard_of_other_ranges_is_refused(digits: data.Digits) -> None:
    """f01: no error, and a Frechet distance of 0.0001 in the place of 1.14."""
    for change in (
        lambda images: images * 255,
        lambda images: (images * 255).astype(np.uint8),
        lambda images: images * 2 - 1,
    ):
        for name in ("train", "validation", "test"):
            split = getattr(digits, name)
            with pytest.raises(ImageError, match=rf"in digits\.{name}: images (range|have type)"):
                scorecard.Scorer(digits._replace(**{name: split._replace(images=change(split.images))}))


def test_labels_and_images_in_unequal_number_are_refused() -> None:
    """f09: half of the images got another's label."""
    for images, labels in ((GREY, LABELS[:70]), (GREY[:70], LABELS)):
        with pytest.raises(ValueError, match="expected"):
            data.make_batches(images, 8, 0, OTHERS, labels=labels)
        with pytest.raises(ValueError, match="expected"):
            CONDITIONAL.fit(images, labels, verbose=0)


def test_labels_of_any_whole_type_stay_with_their_images() -> None:
    """f09: those of type uint8, as Keras loads them, ended in an error of TensorFlow."""
    for kind in (np.uint8, np.int16, np.int64, np.float32, list):
        labels = LABELS.tolist() if kind is list else LABELS.astype(kind)
        images, found = next(iter(data.make_batches(GREY, 8, 0, OTHERS, labels=labels)))
        owners = [int(np.flatnonzero((image == GREY).all(axis=(1, 2, 3)))[0]) for image in images.numpy()]
        np.testing.assert_array_equal(found, LABELS[owners])
