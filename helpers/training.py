"""What stands around fit(): batches, optimisers that slow down to a stop, callbacks, checkpoints."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers import data, flow, models
from helpers.arguments import check_epochs, check_kind, check_positive, check_whole
from helpers.checkpoints import (  # noqa: F401  here a reader of training looks for them
    Checkpoint,
    CheckpointError,
    FirstStep,
    restore_state,
    save_state,
)
from helpers.checks import check_is_digits, check_validation

# Steps that run as one graph call, with less of Python between them: the weights are the same bit for bit.
MOST_STEPS_PER_CALL = 25


def train_gan(
    gan: models.GAN,
    digits: data.Digits,
    *,
    batch_size: int,
    learning_rate: float,
    steps_per_epoch: int,
    epochs: int,
    beta_1: float = 0.5,
    beta_2: float = 0.999,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 0,
) -> dict[str, list[float]]:
    """Train a models.GAN on the training images of digits, a data.Digits; return the history, {name: values by epoch}.

    A conditional one gets their labels too. Both networks have Adam with beta_1 and beta_2, whose learning rate falls
    from learning_rate to zero along a cosine. An epoch is a number of steps, not a pass.
    Raises ImageError for fewer images than a batch, LeakError where a training image is also a test image,
    ArgumentError for sizes that are not 1 or more, and for a learning rate that is not above 0.
    """
    check_is_digits(digits)
    check_whole(batch_size=batch_size, steps_per_epoch=steps_per_epoch, epochs=epochs)
    steps = epochs * steps_per_epoch
    gan.compile(
        *(build_optimizer(learning_rate, steps, beta_1, beta_2) for _ in range(2)),
        steps_per_execution=find_steps_per_call(steps_per_epoch),
    )
    labels = digits.train.labels if gan.classes else None
    batches, callbacks = _prepare_fit(gan, digits, batch_size, callbacks, labels=labels)
    return gan.fit(
        batches, epochs=epochs, steps_per_epoch=steps_per_epoch, callbacks=callbacks, verbose=verbose
    ).history


def train_vae(
    vae: models.VAE,
    digits: data.Digits,
    *,
    batch_size: int,
    learning_rate: float,
    steps_per_epoch: int,
    epochs: int,
    validation: np.ndarray | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 0,
) -> dict[str, list[float]]:
    """Train a models.VAE on binary draws of the training images of digits; return the history, {name: values by epoch}.

    validation: binary images, (count, 28, 28, 1), on which the terms are also taken after each epoch. Otherwise as
    train_gan, with one optimiser and Adam's own beta_1.
    """
    check_validation(validation)
    check_is_digits(digits)
    check_whole(batch_size=batch_size, steps_per_epoch=steps_per_epoch, epochs=epochs)
    optimizer = build_optimizer(learning_rate, epochs * steps_per_epoch)
    optimizer.build(vae.trainable_variables)  # made in the first step, its variables would have that traced twice
    vae.compile(optimizer, steps_per_execution=find_steps_per_call(steps_per_epoch))
    batches, callbacks = _prepare_fit(vae, digits, batch_size, callbacks, binary=True)
    return vae.fit(
        batches,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        validation_data=validation,
        validation_batch_size=1_000,
        callbacks=callbacks,
        verbose=verbose,
    ).history


def train_flow(
    model: flow.FlowMatching,
    digits: data.Digits,
    *,
    batch_size: int,
    learning_rate: float,
    steps_per_epoch: int,
    epochs: int,
    beta_2: float = 0.99,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 0,
) -> dict[str, list[float]]:
    """Train a flow.FlowMatching on the training images of digits; return the history, {name: values by epoch}.

    One that takes labels gets theirs too. beta_2: less than Adam's own, for gradients whose sizes differ with the times
    that a batch draws. Otherwise as train_gan, with one optimiser and Adam's own beta_1.
    """
    check_is_digits(digits)
    check_whole(batch_size=batch_size, steps_per_epoch=steps_per_epoch, epochs=epochs)
    optimizer = build_optimizer(learning_rate, epochs * steps_per_epoch, beta_2=beta_2)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, steps_per_execution=find_steps_per_call(steps_per_epoch))
    labels = digits.train.labels if model.classes else None
    batches, callbacks = _prepare_fit(model, digits, batch_size, callbacks, labels=labels)
    return model.fit(
        batches, epochs=epochs, steps_per_epoch=steps_per_epoch, callbacks=callbacks, verbose=verbose
    ).history


def build_optimizer(
    learning_rate: float, steps: int, beta_1: float = 0.9, beta_2: float = 0.999
) -> keras.optimizers.Adam:
    """Return Adam whose learning rate falls to zero over so many steps, along a cosine (Loshchilov and Hutter 2017)."""
    check_whole(steps=steps)
    check_positive(learning_rate=learning_rate)
    check_positive(zero=True, below=1.0, beta_1=beta_1, beta_2=beta_2)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.Adam(schedule, beta_1=beta_1, beta_2=beta_2)


def find_steps_per_call(steps_per_epoch: int) -> int:
    """Return the most steps, 25 or fewer, that divide an epoch: Keras overruns an epoch that they do not divide."""
    check_whole(steps_per_epoch=steps_per_epoch)
    return max(steps for steps in range(1, MOST_STEPS_PER_CALL + 1) if steps_per_epoch % steps == 0)


class SampleRecorder(keras.callbacks.Callback):
    """Keeps what a model makes of the same latent vectors while it trains.

    draw: the model's own function from latent vectors, (count, latent_size), to images: GAN.generate or VAE.decode.
    epochs: when to look; 0 is before training. frames: {epoch: (count, 28, 28, 1)}.
    """

    def __init__(self, draw: Callable[[np.ndarray], np.ndarray], latent: np.ndarray, epochs: Iterable[int]) -> None:
        check_kind(Callable, "a function, such as gan.generate", draw=draw)
        check_epochs(epochs)
        super().__init__()
        self.draw, self.latent, self.epochs = draw, latent, frozenset(epochs)
        self.frames: dict[int, np.ndarray] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Record epoch 0: the untrained model."""
        self._record(0)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Record the model after this epoch, counted from 1."""
        self._record(epoch + 1)

    def _record(self, epoch: int) -> None:
        if epoch in self.epochs:
            self.frames[epoch] = self.draw(self.latent)


def _prepare_fit(
    model: models.SeededModel,
    digits: data.Digits,
    batch_size: int,
    callbacks: Sequence[keras.callbacks.Callback],
    **options: Any,
) -> tuple[tf.data.Dataset, list[keras.callbacks.Callback]]:
    """Return batches that begin where a restored model stands, and the callbacks with the one that knows the step."""
    check_kind(list | tuple, "a list of callbacks", callbacks=callbacks)
    first_step = FirstStep()
    batches = data.make_batches(
        digits.train.images, batch_size, model.seed, digits.test.images, start=first_step.read, **options
    )
    for callback in callbacks:
        if isinstance(callback, Checkpoint):  # fit() does not tell it these
            callback.made_with |= {"digits": digits.name, "images": len(digits.train.images), "batch_size": batch_size}
    return batches, [*callbacks, first_step]
