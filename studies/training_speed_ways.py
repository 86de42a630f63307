"""What the study `training_speed` times: ways to train, with the same networks, batches, losses and optimiser.

All times are CPU seconds of this process, which has one thread: on an idle machine they are seconds, and on a busy one
they leave out what other processes take. Of the epochs of a run the shortest counts. Nothing prints while it trains.
"""

import importlib.util
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from helpers import data, models, networks, training
from studies.training_speed_article import ArticleGan, ArticleVae

EPOCHS = 2  # timed, after one that traces the graphs
MOMENTUM = {models.GAN: 0.0, models.VAE: 0.9}
PRODUCTS = {"MatMul", "BatchMatMulV2", "Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"}


class WorkError(ValueError):
    """Two ways do not train the same number of weights, so their times do not compare."""


class Case(NamedTuple):
    """A model to train: a dense VAE or GAN has the sizes of its chapter's quick profile unless told otherwise.

    width: of the hidden layer in each half of a VAE, of both in each half of a dense GAN; channels of a
    convolutional one. image_count: how many images the data set has.
    """

    kind: type[keras.Model]
    network: str
    width: int
    latent_size: int
    learning_rate: float
    batch_size: int = 64
    image_count: int = 1_077
    epoch_images: int = 3_200

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return self.epoch_images // self.batch_size


GAN = Case(models.GAN, "dense", width=256, latent_size=100, learning_rate=2e-3)
CASES = {
    "VAE": Case(models.VAE, "dense", width=200, latent_size=10, learning_rate=4e-3),
    "GAN": GAN,
    "convolutional GAN": GAN._replace(network="convolutional", width=32, epoch_images=1_280),
}
# How the cost of these grows: one size at a time, the others as above.
GROWING = ("VAE", "GAN")
BATCH_SIZES, WIDTH_FACTORS, IMAGE_COUNTS = (16, 64, 256, 1_024), (0.25, 0.5, 1, 2, 4), (1_024, 4_096, 16_384)


def grown(case: Case) -> dict[str, dict[int, Case]]:
    """The case with other sizes, by what grows and how large it is; for "images" an epoch is a pass over all."""
    widths = [int(case.width * factor) for factor in WIDTH_FACTORS]
    return {
        "batch": {size: case._replace(batch_size=size) for size in BATCH_SIZES},
        "width": {width: case._replace(width=width) for width in widths},
        "images": {count: case._replace(image_count=count, epoch_images=count) for count in IMAGE_COUNTS},
    }


def growth_metric(name: str, what: str, size: int) -> str:
    """The name of the metric that holds the cost of our training at this size."""
    return f"{'seconds_per_pass' if what == 'images' else 'milliseconds_per_step'}/{name}, {what} {size}"


def measure_round(seed: int) -> dict[str, tuple[float, str]]:
    """All that is measured, once, as {metric: (value, unit)}; seed is that of weights, batches and noise."""
    found: dict[str, tuple[float, str]] = {}
    ours: dict[Case, float] = {}
    for name, case in CASES.items():
        found[f"parameters/{name}"] = (count_weights(build(case, seed)), "weights")
        seconds = {way: time_way(case, seed) for way, time_way in ways().items()}
        ours[case] = seconds["ours"]
        for way, value in seconds.items():
            found[f"images_per_second/{name}, {way}"] = (case.batch_size / value, "images/s")
            found[f"milliseconds_per_step/{name}, {way}"] = (1e3 * value, "ms")
            if way != "ours":
                found[f"ratio/{name}, {way}"] = (value / ours[case], "times our time")
    for name in GROWING:
        for what, cases in grown(CASES[name]).items():
            for size, case in cases.items():
                if case not in ours:
                    ours[case] = time_ours(case, seed)
                per_pass = (ours[case] * case.steps, "s")
                found[growth_metric(name, what, size)] = per_pass if what == "images" else (1e3 * ours[case], "ms")
    return found


def build(case: Case, seed: int) -> keras.Model:
    """The untrained model. A GAN is without its gradient penalty here: the article's loop has no place for one."""
    keras.utils.set_random_seed(seed)
    sizes = case.width
    if case.kind is models.VAE:
        encoder = networks.build_dense_encoder(case.latent_size, (sizes,))
        return models.VAE(encoder, networks.build_dense_decoder(case.latent_size, (sizes,)), seed)
    if case.network == "convolutional":
        generator = networks.build_convolutional_generator(case.latent_size, sizes)
        return models.GAN(generator, networks.build_convolutional_discriminator(sizes), seed)
    generator = networks.build_dense_generator(case.latent_size, (sizes, sizes))
    return models.GAN(generator, networks.build_dense_discriminator((sizes, sizes)), seed)


def load(case: Case) -> data.Digits:
    """The small digits, repeated until there are as many images to train on as the case asks for."""
    digits = data.load_small_digits()
    images = np.resize(digits.train.images, (case.image_count, *digits.train.images.shape[1:]))
    return digits._replace(train=data.Split(images, np.resize(digits.train.labels, case.image_count)))


def build_optimizers(case: Case, updates: int = 1) -> list[keras.optimizers.Optimizer]:
    """The one of a VAE or the two of a GAN, as helpers.training builds them, for so many updates a step."""
    steps, count = updates * (EPOCHS + 1) * case.steps, 2 if case.kind is models.GAN else 1
    return [training.build_optimizer(case.learning_rate, steps, MOMENTUM[case.kind]) for _ in range(count)]


def time_ours(case: Case, seed: int) -> float:
    """Seconds a step of the book's own training: many steps in one call, batches from a tf.data stream."""
    timer, train = EpochTimer(), training.train_vae if case.kind is models.VAE else training.train_gan
    train(
        build(case, seed),
        load(case),
        batch_size=case.batch_size,
        learning_rate=case.learning_rate,
        steps_per_epoch=case.steps,
        epochs=EPOCHS + 1,
        callbacks=[timer],
    )
    return min(timer.seconds) / case.steps


def time_plain_fit(case: Case, seed: int) -> float:
    """Seconds a step of fit() as it comes: an array of images, one step a call; a VAE's pixels are drawn only once."""
    timer, model = EpochTimer(), build(case, seed)
    images = load(case._replace(image_count=case.steps * case.batch_size)).train.images  # an epoch is a pass here
    images = data.draw_binary(images, seed) if case.kind is models.VAE else images
    model.compile(*build_optimizers(case))
    model.fit(images, batch_size=case.batch_size, epochs=EPOCHS + 1, callbacks=[timer], verbose=0)
    return min(timer.seconds) / case.steps


def time_article(case: Case, seed: int) -> float:
    """Seconds a step of the article's loop, whose batches are drawn by NumPy."""
    model, images, noise = build(case, seed), load(case).train.images, np.random.default_rng(seed)
    optimizers = build_optimizers(case, updates=2)  # of the discriminator: on real images, on fake ones
    rival = (ArticleVae if case.kind is models.VAE else ArticleGan)(model, optimizers)
    check_same_work(model, count_weights(rival))

    def turn() -> None:
        batch = noise.choice(images, case.batch_size)
        if case.kind is models.VAE:
            rival.step((noise.random(batch.shape, np.float32) < batch).astype(np.float32))
        else:
            rival.step(batch, noise.standard_normal((case.batch_size, case.latent_size), np.float32))

    return time_loop(turn, case)


def time_torch(case: Case, seed: int) -> float:
    """Seconds a step of PyTorch, whose batches are drawn by PyTorch."""
    import torch

    from studies.training_speed_torch import TorchGan, TorchVae

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model, images = build(case, seed), torch.tensor(load(case).train.images)
    options = (case.learning_rate, (EPOCHS + 1) * case.steps, MOMENTUM[case.kind])
    rival = (TorchVae if case.kind is models.VAE else TorchGan)(model, *options)
    check_same_work(model, sum(weights.numel() for weights in rival.parameters()))

    def turn() -> None:
        batch = images[torch.randint(len(images), (case.batch_size,))]
        batch = torch.bernoulli(batch) if case.kind is models.VAE else batch
        rival.step(batch, torch.randn(case.batch_size, case.latent_size))

    return time_loop(turn, case)


def time_products(case: Case, seed: int) -> float:
    """Seconds that the matrix products and convolutions of a step take alone: the roofline of the book's networks."""
    model = build(case, seed)
    model.compile(*build_optimizers(case))
    if case.kind is models.VAE:
        model.optimizer.build(model.trainable_variables)
    return time_loop(products_of(model.train_step, case.batch_size), case)


def ways() -> dict[str, Callable[[Case, int], float]]:
    """The ways that this machine has, ours first; PyTorch is an extra."""
    found = {"ours": time_ours, "article's pattern": time_article, "plain fit": time_plain_fit}
    if importlib.util.find_spec("torch"):
        found["PyTorch eager"] = time_torch
    return {**found, "products alone": time_products}


def time_loop(turn: Callable[[], object], case: Case) -> float:
    """Seconds a step of a Python loop, after a first turn that is not counted."""
    turn()
    return min(seconds_per_call(turn, case.steps) for _ in range(EPOCHS))


def seconds_per_call(function: Callable[[], object], calls: int) -> float:
    """The mean time of so many calls."""
    start = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - start) / calls


class EpochTimer(keras.callbacks.Callback):
    """Keeps the seconds of each epoch but the first, which also traces the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Starts the clock."""
        self.start = time.process_time()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stops it."""
        if epoch:
            self.seconds.append(time.process_time() - self.start)


def count_weights(model: keras.Model | ArticleGan | ArticleVae) -> int:
    """How many numbers it trains."""
    return sum(math.prod(weight.shape) for weight in model.trainable_variables)


def check_same_work(model: keras.Model, weights: int) -> None:
    """Raise WorkError unless a rival trains as many weights as the book's model."""
    if weights != count_weights(model):
        raise WorkError(
            f"a rival trains {weights:,} weights, the {model.name} {count_weights(model):,}; mend the rival."
        )


def products_of(train_step: Callable, batch_size: int) -> Callable[[], list[tf.Tensor]]:
    """A graph of nothing but the matrix products and convolutions of a training step, on numbers of their own.

    They are read off the step's graph: same shapes, types and attributes, forward and backward.
    """
    images = tf.TensorSpec((batch_size, 28, 28, 1), tf.float32)
    operations = needed(tf.function(train_step).get_concrete_function(images).graph)
    calls = [as_call(operation) for operation in operations if operation.type in PRODUCTS]
    return tf.function(lambda: [call() for call in calls], autograph=False)


def needed(graph: tf.Graph) -> set[tf.Operation]:
    """The operations that a function's results or effects depend on; TensorFlow runs no others."""
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    found = set()
    while waiting:
        operation = waiting.pop()
        if operation not in found:
            found.add(operation)
            waiting += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
    return found


def as_call(operation: tf.Operation) -> Callable[[], tf.Tensor]:
    """The operation alone, as a function without arguments."""
    definition, inputs = operation.op_def, {}
    for argument, tensor in zip(definition.input_arg, operation.inputs, strict=True):
        # The one input of whole numbers is the shape that a convolution's gradient shall have.
        whole = tensor.dtype.is_integer
        inputs[argument.name] = tf.constant(operation.outputs[0].shape) if whole else tf.random.normal(tensor.shape)
    attributes = {a.name: operation.get_attr(a.name) for a in definition.attr if a.type != "type"}
    texts = {name: value.decode() for name, value in attributes.items() if isinstance(value, bytes)}
    return lambda: getattr(tf.raw_ops, operation.type)(**inputs, **{**attributes, **texts})
