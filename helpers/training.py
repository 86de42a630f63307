"""What stands around fit(): batches, optimisers that slow down to a stop, callbacks, checkpoints."""

import json
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from helpers import data, flow, models
from helpers.arguments import check_epochs, check_file, check_positive, check_whole
from helpers.checks import check_is_digits, check_validation

# Steps that run as one graph call, with less of Python between them: the weights are the same bit for bit.
MOST_STEPS_PER_CALL = 25
# What a network's config holds that another process, or another try, would number otherwise.
UNSTABLE = {"name", "build_config", "inbound_nodes", "input_layers", "output_layers"}


class CheckpointError(ValueError):
    """A checkpoint is of another training than the one that is to go on, or cannot be read."""


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


def save_state(file: Path, made_with: Any, variables: Sequence[keras.Variable], **more: Any) -> None:
    """Write the values of variables, and arrays by name, into an .npz file: it is the old one or the new, never half.

    made_with: what the values depend on, as JSON can hold it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    with unfinished.open("wb") as stream:
        arrays = {f"variable_{index}": variable.numpy() for index, variable in enumerate(variables)}
        np.savez(stream, **arrays, **more, made_with=json.dumps(made_with))
    unfinished.replace(file)


def restore_state(file: Path, made_with: Any, variables: Sequence[keras.Variable]) -> dict[str, np.ndarray] | None:
    """Set variables to the values in a file of save_state; return what more it holds, or None where there is no file.

    Raises CheckpointError for a file that cannot be read, or was made with anything else, by its name.
    """
    if not file.exists():
        return None
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = dict(stored)
        before = json.loads(str(arrays.pop("made_with")))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f"{file} is no whole checkpoint ({error}); delete it to begin anew.") from error
    there, here = (dict(_flatten(json.loads(json.dumps(config)))) for config in (before, made_with))
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise CheckpointError(
                f"{file} was made with {name} = {there.get(name)}, this training has {here.get(name)}; give the same, "
                "or delete the file to begin anew."
            )
    for index, variable in enumerate(variables):
        variable.assign(arrays.pop(f"variable_{index}"))
    return arrays


def _flatten(config: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value of a nested config with the path to it, without what is numbered anew in each process."""
    if isinstance(config, dict | list):
        for key, value in config.items() if isinstance(config, dict) else enumerate(config):
            if key not in UNSTABLE:
                yield from _flatten(value, f"{name}/{key}".removeprefix("/"))
    else:
        yield name, config


class FirstStep(keras.callbacks.Callback):
    """Knows the step that training begins with: not 0 after a callback, earlier in the list, has restored a model."""

    step = np.int64(0)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Look before the first step, because the stream may ask while that is under way."""
        self.step = np.int64(self.model.optimizer.iterations.numpy())

    def read(self) -> np.int64:
        """Return the step, for data.make_batches."""
        return self.step


class Checkpoint(FirstStep):
    """Keeps a training in a file after each epoch, and goes on from there: the end is the same, bit for bit.

    file: a path that outlives the process; every: epochs between two states, of which the last epoch is always one.
    Kept are weights, the optimiser's state, the states of random layers, the history as it comes to this callback (put
    it last), and the seconds of CPU. made_with: what else the training depends on, by name. train_gan and train_vae
    bring the batches that come next; a fit() of your own needs data.make_batches(..., start=checkpoint.read), not
    arrays that Keras shuffles. Other callbacks begin anew. Raises CheckpointError for a file of another training, and
    says what differs.
    """

    def __init__(self, file: str | Path, every: int = 1, **made_with: Any) -> None:
        check_file(file)
        check_whole(every=every)
        super().__init__()
        self.file, self.every, self.made_with = Path(file), every, made_with
        self.seconds_before, self.begun = 0.0, time.process_time()

    @property
    def seconds(self) -> float:
        """The CPU seconds of training so far, those before a stop included."""
        return self.seconds_before + time.process_time() - self.begun

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Go on where the file stands, if there is one."""
        model, optimizers = self.model, getattr(self.model, "optimizers", (self.model.optimizer,))
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self.config = {
            **self.made_with,
            "model": {"class": type(model).__name__, **model.get_config()},
            "optimizers": [optimizer.get_config() for optimizer in optimizers],
            "steps_per_epoch": self.params["steps"],
        }
        self.variables = [*model.variables, *model.optimizer.variables]
        self.history = model.history.history
        stored = restore_state(self.file, self.config, self.variables)
        if stored:
            model._initial_epoch = int(stored["epochs"])  # as keras.callbacks.BackupAndRestore does
            self.history.update(json.loads(str(stored["history"])))
            self.seconds_before, self.begun = float(stored["seconds"]), time.process_time()
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keep the state, if it is its turn."""
        done = epoch + 1
        history = {name: [*self.history.get(name, ()), float(value)] for name, value in (logs or {}).items()}
        if done % self.every == 0 or done == self.params["epochs"] or self.model.stop_training:
            more = {"epochs": done, "history": json.dumps(history), "seconds": self.seconds}
            save_state(self.file, self.config, self.variables, **more)


class SampleRecorder(keras.callbacks.Callback):
    """Keeps what a model makes of the same latent vectors while it trains.

    draw: the model's own function from latent vectors, (count, latent_size), to images: GAN.generate or VAE.decode.
    epochs: when to look; 0 is before training. frames: {epoch: (count, 28, 28, 1)}.
    """

    def __init__(self, draw: Callable[[np.ndarray], np.ndarray], latent: np.ndarray, epochs: Iterable[int]) -> None:
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
    first_step = FirstStep()
    batches = data.make_batches(
        digits.train.images, batch_size, model.seed, digits.test.images, start=first_step.read, **options
    )
    for callback in callbacks:
        if isinstance(callback, Checkpoint):  # fit() does not tell it these
            callback.made_with |= {"digits": digits.name, "images": len(digits.train.images), "batch_size": batch_size}
    return batches, [*callbacks, first_step]
