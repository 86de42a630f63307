"""Measures what the book costs: `python -m tools.benchmark [--stored]` prints one table, measured in one run.

Chapters: seconds and memory of a fresh run; with --stored, those that `make execute` stored. Training: the time of a
step under fit(), with the chapters' own functions and sizes, and the time that the matrix products and convolutions in
it take alone. What misses its aim is said; nothing fails, because machines differ and are noisy.
"""

import ast
import contextlib
import functools
import io
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from tools.environment import QUICK, quick_environment
from tools.execute import run_notebook
from tools.notebook_files import chapters, code_cells, read

os.environ.update(quick_environment())  # before TensorFlow reads it

import keras
import tensorflow as tf

SECONDS = {"gan": 120}  # of a chapter; the others have 60
MEMORY_GB, SHARE = 3.0, 0.5
ROUNDS, EPOCHS = 3, 6  # the rows take turns, so that a slow minute of the machine meets all of them
PRODUCTS = {"MatMul", "BatchMatMulV2", "Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"}


class Row(NamedTuple):
    """One line of the table; met is None where there is no aim."""

    what: str
    measured: str
    aim: str = ""
    met: bool | None = None


class Training(NamedTuple):
    """A model as its chapter trains it, and what multiplies and convolves in one of its steps."""

    name: str
    train: Callable[..., object]  # the chapter's own, for so many epochs with these callbacks
    products: Callable[[], object]
    config: SimpleNamespace


class EpochTimer(keras.callbacks.Callback):
    """Keeps the seconds of each epoch but the first, which also traces the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Starts the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stops it."""
        if epoch:
            self.seconds.append(time.perf_counter() - self.start)


def names_of(chapter: str, **changes: object) -> SimpleNamespace:
    """What a chapter has defined when it is about to train, with these changes to its config."""
    names: dict[str, object] = {}
    for cell in code_cells(read(*chapters([chapter]))):
        functions = [node for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)]
        trains = "train" in {function.name for function in functions}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(ast.Module(functions, []), chapter, "exec") if trains else cell.source, names)
        if trains:
            break
    vars(names["config"]).update(changes)
    names["validation"] = None  # what is timed then only trains
    return SimpleNamespace(**names)


def trainings() -> list[Training]:
    """The models of the two chapters in quick, and the convolutional GAN at the same sizes."""
    vae, gan = names_of("vae"), names_of("gan", steps_per_epoch=100)
    convolutional = names_of("gan", steps_per_epoch=25, network="convolutional")
    return [
        _training("VAE, dense", vae, vae.build_vae(vae.config.code)),
        _training("GAN, dense", gan, gan.build_gan()),
        _training("GAN, convolutional", convolutional, convolutional.build_gan()),
    ]


def _training(name: str, chapter: SimpleNamespace, model: keras.Model) -> Training:
    chapter.train(model, 1)  # builds the optimisers, which the step's graph holds
    products = products_of(model.train_step, chapter.config.batch_size)
    return Training(name, functools.partial(chapter.train, model), products, chapter.config)


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


def seconds_per_call(function: Callable[[], object], calls: int) -> float:
    """The mean time of so many calls."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def measure_training() -> list[Row]:
    """Images per second of each model, and the share of its step that its products alone take.

    The shortest time counts for both: what else the machine does can only add to it.
    """
    models = trainings()
    steps, products = {model.name: [] for model in models}, {model.name: [] for model in models}
    for _ in range(ROUNDS):
        for model in models:
            timer, count = EpochTimer(), model.config.steps_per_epoch
            model.train(EPOCHS, callbacks=[timer])
            steps[model.name] += [seconds / count for seconds in timer.seconds]
            model.products()
            products[model.name] += [seconds_per_call(model.products, count) for _ in range(EPOCHS - 1)]
    rows = []
    for model in models:
        step, alone, size = min(steps[model.name]), min(products[model.name]), model.config.batch_size
        rows.append(
            Row(f"{model.name}: training", f"{size / step:,.0f} images/s, {step * 1e3:.2f} ms a step of {size}")
        )
        measured = f"{alone / step:.0%} of the step, {alone * 1e3:.2f} ms"
        rows.append(Row(f"{model.name}: products alone", measured, f"{SHARE:.0%} or more", alone / step >= SHARE))
    return rows


def measure_chapters(stored: bool) -> list[Row]:
    """Seconds and memory of each chapter, run now or as stored by `make execute`."""
    rows = []
    for path in chapters():
        if stored:
            seconds, memory = read(path).metadata.book.seconds, read(path).metadata.book.peak_memory_mb
        else:
            run = run_notebook(path, quick_environment())
            seconds, memory = run.seconds, run.peak_memory_mb
        aim, name = SECONDS.get(path.stem, 60), f"chapter {path.stem}{' (stored)' if stored else ''}"
        rows.append(Row(f"{name}: time", f"{seconds:.0f} s", f"{aim} s or less", seconds <= aim))
        memory_gb = memory / 1e3
        rows.append(Row(f"{name}: memory", f"{memory_gb:.2f} GB", f"{MEMORY_GB:g} GB or less", memory_gb <= MEMORY_GB))
    return rows


def describe_machine() -> str:
    """The processor, its cores, the threads that are used of them, and the versions."""
    information = Path("/proc/cpuinfo")
    models = re.findall(r"model name\s*: (.*)", information.read_text("utf-8")) if information.exists() else []
    processor = models[0] if models else platform.processor()
    versions = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "numpy"))
    threads = f"{os.cpu_count()} cores, {QUICK['TF_NUM_INTRAOP_THREADS']} thread used"
    return f"{platform.machine()}, {processor}, {threads}; Python {platform.python_version()}, {versions}"


def main(arguments: list[str]) -> int:
    """Prints the table; returns the exit status."""
    if arguments not in ([], ["--stored"]):
        print("expected no argument, or --stored", file=sys.stderr)
        return 1
    start = time.perf_counter()
    rows = measure_chapters(stored=bool(arguments)) + measure_training()
    print(describe_machine())
    for row in rows:
        met = {None: "", True: "met", False: "MISSED"}[row.met]
        print(f"{row.what:34} {row.measured:44} {row.aim:16} {met}".rstrip())
    print(f"measured in {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
