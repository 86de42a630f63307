"""A training that goes on after its process has ended: the step that it begins with, and the state that it keeps."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tensorflow.python.eager import context
from tensorflow.python.framework import ops

from helpers.arguments import check_file, check_whole
from helpers.states import StateFile

# What a network's config holds that another process, or another try, would number otherwise.
UNSTABLE = {"name", "build_config", "inbound_nodes", "input_layers", "output_layers"}


class CheckpointError(ValueError):
    """A checkpoint is of another training than the one that is to go on, or cannot be read or written."""


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

        It keeps what a stream asks, this callback; the gradient of each operation that has one of its own, such as
        Keras's step of an optimiser; and what it has made of each graph to run it, as it makes anew for whoever runs it
        again. Nobody takes the gradient of a training that has ended.
        """
        self.set_model(None)
        for name in {name for name in self.gradients if name.startswith("CustomGradient-")} - self.known:
            del self.gradients[name]
        context.context().clear_kernel_cache()  # as keras.utils.clear_session() does

    def read(self) -> np.int64:
        """Return the step, for data.make_batches."""
        return self.step


class Checkpoint(FirstStep):
    """Keeps a training in a file, epoch by epoch, and goes on from there: the end is the same, bit for bit.

    file: a path that outlives the process. every: epochs between two states, of which the last epoch is always one;
    None: as many as keep the writing under a hundredth of the time. Kept are weights and their running
    averages, the optimiser's state, the states of random layers, the history as it comes to this callback (put it
    last), and the seconds of CPU; made_with: what else the training depends on, by name.
    train_gan, train_vae and train_flow bring the batches that come next; a fit() of your own needs
    data.make_batches(..., start=checkpoint.read), not arrays that Keras shuffles. Other callbacks begin anew. The state
    before the last stays too, beside it, and is taken where the last one is damaged. Raises CheckpointError for a file
    of another training, and says what differs; for one that is no checkpoint; for a place that cannot be written to,
    before training where that can be known; and for values of every or made_with that cannot be kept.
    """

    most = 0.01  # of the time, for writing

    def __init__(self, file: str | Path, every: int | None = 1, **made_with: Any) -> None:
        check_file(file)
        super().__init__()
        if every is not None:
            check_whole(error=CheckpointError, every=every)
        self.file, self.every, self.made_with = Path(file), every, made_with
        self.seconds_before, self.begun = 0.0, time.process_time()
        self.clock, self.writing, self.last_writing = time.monotonic(), 0.0, 0.0

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
        if done == self.params["epochs"] or self.model.stop_training:
            return True
        if self.every:
            return done % self.every == 0
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
