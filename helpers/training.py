"""What stands around fit(): batches, optimisers that slow down to a stop, callbacks, checkpoints."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops

from helpers import data, flow, models
from helpers.states import StateFile

# Steps that run as one graph call, with less of Python between them: the weights are the same bit for bit.
MOST_STEPS_PER_CALL = 25
# What a network's config holds that another process, or another try, would number otherwise.
UNSTABLE = {"name", "build_config", "inbound_nodes", "input_layers", "output_layers"}


class CheckpointError(ValueError):
    """A checkpoint is of another training than the one that is to go on, or cannot be read or written."""


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
    Raises ImageError for fewer images than a batch, LeakError where a training image is also a test image.
    """
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
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.Adam(schedule, beta_1=beta_1, beta_2=beta_2)


def find_steps_per_call(steps_per_epoch: int) -> int:
    """Return the most steps, 25 or fewer, that divide an epoch: Keras overruns an epoch that they do not divide."""
    return max(steps for steps in range(1, MOST_STEPS_PER_CALL + 1) if steps_per_epoch % steps == 0)


def save_state(file: Path, made_with: Any, variables: Sequence[keras.Variable], **more: Any) -> None:
    """Write the values of variables, and arrays by name, into an .npz file: it is the old one or the new, never half.

    made_with: what the values depend on, as JSON can hold it. The state before stays beside it, in file.npz.previous.
    Raises CheckpointError where it cannot be written, such as on a full disk; what was kept before stays.
    """
    arrays = {f"variable_{index}": variable.numpy() for index, variable in enumerate(variables)}
    StateFile(file, CheckpointError).write(made_with, arrays | more)


def restore_state(
    file: Path, made_with: Any, variables: Sequence[keras.Variable], read_more: Callable[[dict], Any] = dict
) -> Any:
    """Set variables to the values in a file of save_state; return what more it holds, or None where there is no file.

    read_more: makes of {name: array} what is returned, and raises an exception for what is not as it should be. Where
    the file is cut off or changed, the state before is taken, with a warning. Raises CheckpointError, before anything
    is set, for a file that is no checkpoint, that was made with anything else, by its name, or whose arrays are not
    those of variables.
    """
    kept = StateFile(file, CheckpointError)
    arrays = kept.read()
    if arrays is None:
        return None
    both = arrays.pop("made_with"), made_with
    there, here = (dict(_flatten(json.loads(json.dumps(config)))) for config in both)
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            raise CheckpointError(
                f"{kept.place} was made with {name} = {there.get(name)}, this training has {here.get(name)}; give the "
                "same, or delete the file to begin anew."
            )
    values = kept.take_values(arrays, variables)
    try:
        more = read_more(arrays)
    except Exception as error:  # a file may hold anything
        raise kept.refuse(f"is not as a training keeps it ({error!r})") from error
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return more


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
        self.gradients = getattr(ops.gradient_registry, "_registry", {})
        self.known = {*self.gradients}

    def on_train_end(self, logs: dict | None = None) -> None:
        """Let go of the model and its graphs, which TensorFlow would keep for ever.

        It keeps what a stream asks, this callback, and the gradient of each operation that has one of its own, such as
        Keras's step of an optimiser. Nobody takes the gradient of a training that has ended.
        """
        self.set_model(None)
        for name in {name for name in self.gradients if name.startswith("CustomGradient-")} - self.known:
            del self.gradients[name]

    def read(self) -> np.int64:
        """Return the step, for data.make_batches."""
        return self.step


class Checkpoint(FirstStep):
    """Keeps a training in a file, epoch by epoch, and goes on from there: the end is the same, bit for bit.

    file: a path that outlives the process. every: epochs between two states; None: one, or more where writing would
    take over a hundredth of the time. The first epoch and the last are always kept. Kept are weights and their running
    averages, the optimiser's state, the states of random layers, the history as it comes to this callback (put it
    last), and the seconds of CPU; made_with: what else the training depends on, by name.
    train_gan, train_vae and train_flow bring the batches that come next; a fit() of your own needs
    data.make_batches(..., start=checkpoint.read), not arrays that Keras shuffles. Other callbacks begin anew. The state
    before the last stays too, beside it, and is taken where the last one is damaged. Raises CheckpointError for a file
    of another training, and says what differs; for one that is no checkpoint; for a place that cannot be written to,
    before training where that can be known; and for values of every or made_with that cannot be kept.
    """

    most = 0.01  # of the time, for writing

    def __init__(self, file: str | Path, every: int | None = None, **made_with: Any) -> None:
        super().__init__()
        if every is not None and (not isinstance(every, int | np.integer) or every < 1):
            raise CheckpointError(f"every = {every!r}, expected a whole number of epochs, one or more, or None.")
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
        try:
            json.dumps(self.config)
        except (TypeError, ValueError) as error:
            raise CheckpointError(f"{error}; give Checkpoint numbers, texts, and lists and dicts of them.") from error
        stored = restore_state(self.file, self.config, self.variables, self._read_progress)
        if stored:
            model._initial_epoch, history, self.seconds_before = stored  # the first as BackupAndRestore does it
            self.history.update(history)
            self.begun = time.process_time()
        if not stored or stored[0] < self.params["epochs"]:
            StateFile(self.file, CheckpointError).check_place()
        self.clock, self.writing, self.last_writing = time.monotonic(), 0.0, 0.0
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Keep the state, if it is its turn."""
        done = epoch + 1
        history = {name: [*self.history.get(name, ()), float(value)] for name, value in (logs or {}).items()}
        if self._is_due(done):
            begun = time.monotonic()
            more = {"epochs": done, "history": json.dumps(history), "seconds": self.seconds}
            save_state(self.file, self.config, self.variables, **more)
            self.last_writing = time.monotonic() - begun
            self.writing += self.last_writing

    def _is_due(self, done: int) -> bool:
        """Whether to keep the state after so many epochs."""
        last = done == self.params["epochs"] or self.model.stop_training
        if last or self.every:
            return last or done % self.every == 0
        return self.writing + self.last_writing <= self.most * (time.monotonic() - self.clock)

    @staticmethod
    def _read_progress(stored: dict[str, np.ndarray]) -> tuple[int, dict[str, list[float]], float]:
        """Return epochs, history and seconds; raise an exception for anything else."""
        epochs, history, seconds = (stored.pop(name).item() for name in ("epochs", "history", "seconds"))
        history = {name: [float(value) for value in values] for name, values in json.loads(history).items()}
        if stored or epochs != int(epochs) or epochs < 1 or not 0.0 <= seconds < np.inf:
            raise ValueError(f"{epochs} epochs, {seconds} seconds, and {sorted(stored)}")
        if longest := [name for name, values in history.items() if len(values) > epochs]:
            raise ValueError(f"more than {epochs} values of {longest[0]}")
        return int(epochs), history, seconds


class SampleRecorder(keras.callbacks.Callback):
    """Keeps what a model makes of the same latent vectors while it trains.

    draw: the model's own function from latent vectors, (count, latent_size), to images: GAN.generate or VAE.decode.
    epochs: when to look; 0 is before training. frames: {epoch: (count, 28, 28, 1)}.
    """

    def __init__(self, draw: Callable[[np.ndarray], np.ndarray], latent: np.ndarray, epochs: Iterable[int]) -> None:
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
