"""Checks of counts, rates, seeds, names, paths, and the form of tensors, as helpers.checks has them for images."""

import math
import operator
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np


class ArgumentError(ValueError):
    """A count, size, rate, seed, name or path is not what the function takes, or lists differ in length."""


def check_whole(least: int = 1, most: float = math.inf, error: type[Exception] = ArgumentError, **numbers: Any) -> None:
    """Raise error unless each of the numbers, counts or sizes or seeds, is a whole one from least to most."""
    for name, value in numbers.items():
        if hasattr(value, "dtype") and not isinstance(value, np.ndarray | np.generic) and not hasattr(value, "numpy"):
            continue  # a tensor of a graph that is being traced: nobody knows its value yet
        try:
            number = math.nan if isinstance(value, bool | np.bool_) else operator.index(value)
        except TypeError:
            number = math.nan
        if not least <= number <= most:
            end = f"{least} or more" if most == math.inf else f"{least} to {most}"
            raise error(f"{name} is {value!r}, expected a whole number, {end}{_advise_on_number(value, least)}.")


def check_positive(zero: bool = False, below: float = math.inf, **numbers: Any) -> None:
    """Raise ArgumentError unless each of the numbers, rates or weights, is above 0, or 0 where zero, and below that."""
    for name, value in numbers.items():
        try:
            number = np.asarray(value)
        except NotImplementedError:  # of a graph that is being traced
            continue
        is_number = number.ndim == 0 and number.dtype.kind in "iuf"
        if not is_number or not (0 <= number < below) or (number == 0 and not zero):
            end = "" if below == math.inf else f" and below {below:g}"
            raise ArgumentError(f"{name} is {value!r}, expected a number, {'0 or more' if zero else 'above 0'}{end}.")


def check_seed(seed: Any) -> None:
    """Raise ArgumentError unless a seed is a whole number from 0, or a tuple of such."""
    for part in seed if isinstance(seed, tuple) and seed else (seed,):
        check_whole(0, seed=part)


def check_widths(widths: Any) -> None:
    """Raise ArgumentError unless widths of layers are a list or tuple of whole numbers, 1 or more, or empty."""
    if isinstance(widths, str) or not isinstance(widths, Iterable):
        raise ArgumentError(f"widths is {widths!r}, expected one for each layer; try ({widths},).")
    for width in widths:
        check_whole(width=width)


def check_choice(choices: Collection[str], **words: Any) -> None:
    """Raise ArgumentError unless each of the words is one of the choices."""
    for name, word in words.items():
        if not (isinstance(word, str) and word in choices):
            raise ArgumentError(f"{name} is {word!r}, expected one of {', '.join(map(repr, choices))}.")


def check_same_length(lists: Mapping[str, Sized]) -> None:
    """Raise ArgumentError unless lists or arrays have as many elements each."""
    lengths = {name: len(one) for name, one in lists.items()}
    if len(set(lengths.values())) > 1:
        raise ArgumentError(f"{lengths} elements; expected as many of each.")


def check_file(file: Any) -> None:
    """Raise ArgumentError unless a file could stand, or be written, at the path."""
    if not isinstance(file, str | os.PathLike):
        raise ArgumentError(f"file is {file!r}, expected a path, such as 'training.npz'.")
    if Path(file).is_dir():
        raise ArgumentError(f"{file} is a folder, expected a file; try Path(file, 'training.npz').")


def check_epochs(epochs: Any) -> None:
    """Raise ArgumentError unless epochs, at which something looks, are whole numbers from 0."""
    if isinstance(epochs, str) or not isinstance(epochs, Iterable):
        raise ArgumentError(f"epochs is {epochs!r}, expected one for each look; try ({epochs},).")
    for epoch in () if isinstance(epochs, Iterator) else epochs:  # an iterator would be used up
        check_whole(0, epoch=epoch)


def check_floats(ends_with: tuple[int, ...] = (), rank: int | None = None, **tensors: Any) -> None:
    """Raise ArgumentError unless tensors are of floats, all of one type, and not empty.

    ends_with: what the last parts of their shapes are; rank: how many parts there are. Only shapes and types are looked
    at, so that the check serves while a graph is traced.
    """
    types = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, int | float) and not isinstance(tensor, bool):
            continue  # TensorFlow makes of it what stands beside it
        if not hasattr(tensor, "dtype"):
            raise ArgumentError(f"{name} is a {type(tensor).__name__}, expected a tensor; try tf.constant({name}).")
        shape, types[name] = read_shape(tensor), getattr(tensor.dtype, "name", str(tensor.dtype))
        if types[name] not in ("float32", "float64"):
            raise ArgumentError(f"{name} has type {types[name]}, expected float32; try tf.cast({name}, tf.float32).")
        wrong_end = shape and not _may_be_equal(shape[len(shape) - len(ends_with) :], ends_with)
        if shape is not None and (0 in shape or wrong_end or len(shape) != (len(shape) if rank is None else rank)):
            expected = f"{rank or 'some'} parts{f', the last {ends_with}' if ends_with else ''}, none 0"
            raise ArgumentError(f"{name} has shape {shape}, expected {expected}.")
    if len(set(types.values())) > 1:
        raise ArgumentError(f"types are {types}, expected one; try tf.cast({name}, tf.float32).")


def check_alike(**tensors: Any) -> None:
    """Raise ArgumentError unless tensors have one shape: TensorFlow would spread the smaller one."""
    shapes = {name: read_shape(tensor) for name, tensor in tensors.items()}
    first, *others = shapes.values()
    if not all(_may_be_equal(first, other) for other in others):
        raise ArgumentError(f"shapes are {shapes}, expected one.")


def read_shape(array: Any) -> tuple | None:
    """Return the shape of an array, tensor or spec; None where a stream of unknown rank does not tell."""
    return None if getattr(array.shape, "rank", 0) is None else tuple(array.shape)


def _may_be_equal(one: tuple | None, other: tuple | None) -> bool:
    """Whether two shapes, parts of which may be unknown, can be the same."""
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))


def _advise_on_number(value: Any, least: int) -> str:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return ""
    meant = not isinstance(value, bool | np.bool_) and number.is_integer() and number >= least
    return f"; try {int(number)}" if meant else ""
