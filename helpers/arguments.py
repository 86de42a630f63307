"""Checks of counts, rates, seeds, names, paths, and the form of tensors, as helpers.checks has them for images."""

import itertools
import math
import operator
import os
import reprlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np

MOST = 2**31 - 1  # of counts and sizes: steps are counted in 32 bits, and more images fit into no memory
MOST_UNITS = 2**16  # of a layer, or words of a vocabulary
MOST_CHANNELS, MOST_BLOCKS = 2**10, 2**6  # of a network
MOST_NUMBERS = 2**31  # in one array, 8 GB of float32
NO_NUMBERS = (bool, np.bool_, np.ndarray, np.timedelta64)  # which Python would take for whole ones


class ArgumentError(ValueError):
    """A count, size, rate, seed, name or path is not what the function takes, or lists differ in length."""


def check_whole(least: int = 1, most: float = MOST, error: type[Exception] = ArgumentError, **numbers: Any) -> None:
    """Raise error unless each of the numbers, counts or sizes or seeds, is a whole one from least to most."""
    for name, value in numbers.items():
        if hasattr(value, "graph") and not hasattr(value, "numpy"):
            continue  # a tensor of a graph that is being traced: nobody knows its value yet
        try:
            is_number = not isinstance(value, NO_NUMBERS) and not len(getattr(value, "shape", ()))
            number = operator.index(value) if is_number else math.nan
        except TypeError:
            number = math.nan
        if not least <= number <= most:
            end = f"{least} to {most}" if most < MOST or number > most else f"{least} or more"
            raise error(
                f"{name} is {tell(value)}, expected a whole number, {end}{_advise_on_number(value, least, most)}."
            )


def check_positive(zero: bool = False, below: float = math.inf, **numbers: Any) -> None:
    """Raise ArgumentError unless each of the numbers, rates or weights, is above 0, or 0 where zero, and below that."""
    for name, value in numbers.items():
        try:
            number = np.asarray(None if isinstance(value, Sized) and not hasattr(value, "dtype") else value)
        except NotImplementedError:  # of a graph that is being traced
            continue
        except Exception:  # what is no array may raise anything
            number = np.asarray(None)
        is_number = number.ndim == 0 and number.dtype.kind in "iuf"
        if not is_number or not (0 <= number < below) or (number == 0 and not zero):
            end = "" if below == math.inf else f" and below {below:g}"
            raise ArgumentError(
                f"{name} is {tell(value)}, expected a number, {'0 or more' if zero else 'above 0'}{end}."
            )


def check_seed(seed: Any) -> None:
    """Raise ArgumentError unless a seed is a whole number from 0, or a tuple of such."""
    for part in seed if isinstance(seed, tuple) and seed else (seed,):
        check_whole(0, math.inf, seed=part)


def check_widths(widths: Any) -> None:
    """Raise ArgumentError unless widths of layers are a list or tuple of whole numbers, 1 or more, or empty."""
    if (
        not isinstance(widths, list | tuple | range | np.ndarray) or getattr(widths, "ndim", 1) != 1
    ):  # an iterator would be used up
        raise ArgumentError(f"widths is {tell(widths)}, expected one for each layer; try ({tell(widths)},).")
    for width in widths:
        check_whole(1, MOST_UNITS, width=width)


def check_room(*sizes: int, error: type[Exception] = ArgumentError) -> None:
    """Raise error where an array of such sizes, each a whole number, would hold more numbers than fit into memory."""
    if (count := math.prod(sizes)) > MOST_NUMBERS:
        raise error(f"{' x '.join(map(str, sizes))} numbers take {count * 4 / 1e9:,.0f} GB; ask for fewer at a time.")


def check_kind(kind: Any, wanted: str, error: type[Exception] = ArgumentError, **values: Any) -> None:
    """Raise error unless each of the values is of a kind, a type or several; wanted: what that is, in words."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise error(f"{name} is {tell(value)}, a {type(value).__name__}; expected {wanted}.")


def check_flags(**flags: Any) -> None:
    """Raise ArgumentError unless each of the flags is True or False."""
    check_kind(bool | np.bool_, "True or False", **flags)


def check_choice(choices: Collection[str], **words: Any) -> None:
    """Raise ArgumentError unless each of the words is one of the choices."""
    for name, word in words.items():
        if not (isinstance(word, str) and word in choices):
            raise ArgumentError(f"{name} is {tell(word)}, expected one of {', '.join(map(repr, choices))}.")


def check_same_length(lists: Mapping[str, Sized]) -> None:
    """Raise ArgumentError unless lists or arrays have as many elements each."""
    for name, one in lists.items():
        if not hasattr(one, "__len__") or getattr(one, "ndim", 1) < 1 or isinstance(one, str):
            raise ArgumentError(f"{name} is {tell(one)}, expected a list or an array; try [{name}].")
    lengths = {name: len(one) for name, one in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ArgumentError(f"{lengths} elements; expected as many of each.")


def check_file(file: Any) -> None:
    """Raise ArgumentError unless a file could stand, or be written, at the path."""
    if not isinstance(file, str | os.PathLike):
        raise ArgumentError(f"file is {tell(file)}, expected a path, such as 'training.npz'.")
    try:
        is_folder = Path(file).is_dir()
    except (OSError, ValueError) as no:  # a name that is too long, or holds a zero byte
        raise ArgumentError(f"file is {tell(file)}, expected a path, such as 'training.npz' ({no.args[-1]}).") from no
    if is_folder:
        raise ArgumentError(f"{file} is a folder, expected a file; try Path(file, 'training.npz').")


def check_path(path: Path, error: type[Exception]) -> None:
    """Raise error for a path that no file could have."""
    if "\0" in str(path):
        raise error(f"the path {tell(str(path))} holds a zero byte; expected the name of a file.")


def check_epochs(epochs: Any) -> None:
    """Raise ArgumentError unless epochs, at which something looks, are whole numbers from 0."""
    if isinstance(epochs, str) or not isinstance(epochs, Iterable) or getattr(epochs, "ndim", 1) != 1:
        raise ArgumentError(f"epochs is {tell(epochs)}, expected one for each look; try ({tell(epochs)},).")
    for epoch in () if isinstance(epochs, Iterator) else epochs:  # an iterator would be used up
        check_whole(0, epoch=epoch)


def check_floats(ends_with: tuple[int, ...] = (), rank: int | None = None, empty: bool = False, **tensors: Any) -> None:
    """Raise ArgumentError unless tensors are of floats, all of one type, and not empty.

    ends_with: what the last parts of their shapes are; rank: how many parts there are; empty: whether a batch may hold
    no example, as one does now and then that chance draws, where each has an answer of its own. Only shapes and types
    are looked at, so that the check serves while a graph is traced.
    """
    types: dict[str, str] = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, float) and rank is None and len(tensors) > 1:
            continue  # TensorFlow makes of it what stands beside it
        if type(tensor).__name__ == "KerasTensor":
            raise ArgumentError(
                f"{name} is a KerasTensor, which has no values yet; call this in a layer or a train_step."
            )
        if not hasattr(tensor, "dtype") or hasattr(tensor, "row_splits") or hasattr(tensor, "indices"):
            raise ArgumentError(f"{name} is a {type(tensor).__name__}, expected a tensor; try tf.constant({name}).")
        shape, types[name] = read_shape(tensor), getattr(tensor.dtype, "name", str(tensor.dtype))
        if types[name] not in ("float32", "float64"):
            raise ArgumentError(f"{name} has type {types[name]}, expected float32; try tf.cast({name}, tf.float32).")
        wrong_end = shape and not _may_be_equal(shape[len(shape) - len(ends_with) :], ends_with)
        if shape is not None and (
            0 in shape[empty:] or wrong_end or len(shape) != (len(shape) if rank is None else rank)
        ):
            expected = f"{rank or 'some'} parts{f', the last {ends_with}' if ends_with else ''}, none 0"
            raise ArgumentError(f"{name} has shape {shape}, expected {expected}.")
    if len(set(types.values())) != 1:
        raise ArgumentError(f"types are {types}, expected one; try tf.cast({name}, tf.float32).")


def check_alike(**tensors: Any) -> None:
    """Raise ArgumentError unless tensors have one shape: TensorFlow would spread the smaller one."""
    shapes = {name: read_shape(tensor) for name, tensor in tensors.items()}
    first, *others = shapes.values()
    if not all(_may_be_equal(first, other) for other in others):
        raise ArgumentError(f"shapes are {shapes}, expected one.")


def check_same_rows(**tensors: Any) -> None:
    """Raise ArgumentError unless tensors have as many rows each."""
    rows = {name: (read_shape(tensor) or (None,))[0] for name, tensor in tensors.items()}
    if len(set(rows.values()) - {None}) > 1:
        raise ArgumentError(f"{rows} rows, expected as many of each.")


def check_spread(**tensors: Any) -> None:
    """Raise ArgumentError unless tensors are of one shape, or TensorFlow can spread one over the others."""
    shapes = {name: read_shape(tensor) for name, tensor in tensors.items() if hasattr(tensor, "shape")}
    for sides in itertools.zip_longest(*(reversed(shape) for shape in shapes.values() if shape), fillvalue=1):
        if len({side for side in sides if side not in (1, None)}) > 1:
            raise ArgumentError(f"shapes are {shapes}, expected one, or such as go together.")


def read_shape(array: Any) -> tuple | None:
    """Return the shape of an array, tensor or spec; None where a stream of unknown rank does not tell."""
    shape = getattr(array, "shape", ())  # of a number
    return None if getattr(shape, "rank", 0) is None else tuple(shape)


def list_some(names: Collection[str], most: int = 40) -> str:
    """Return the first of some names, and how many others there are."""
    return ", ".join(sorted(names)[:most]) + (f" and {len(names) - most} others" if len(names) > most else "")


def tell(value: Any) -> str:
    """Return a value as code would write it, cut off where that is long."""
    try:
        return reprlib.repr(value)
    except Exception:  # such as a number of more digits than Python writes
        return f"a {type(value).__name__} that cannot be written"


def _may_be_equal(one: tuple | None, other: tuple | None) -> bool:
    """Whether two shapes, parts of which may be unknown, can be the same."""
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))


def _advise_on_number(value: Any, least: int, most: float) -> str:
    try:
        number = float(value) if isinstance(value, str | float | np.number) else math.nan
    except (TypeError, ValueError):
        return ""
    meant = number.is_integer() and least <= number <= most
    return f"; try {int(number)}" if meant else ""
