"""What people hand to a function that expects something else, and how a call of the book's may end."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from hypothesis import strategies as st
from scipy import sparse

TOO_MANY = 10**13  # of which no machine has the memory
LONGEST = 5_000  # characters that are still words
MOST_SECONDS = 60  # of a call; the longest take two

TYPES = ("?", "i1", "i4", "i8", "u1", "u8", "f2", "f4", "f8", "g", "c8", "U3", "S3", "O", "M8[s]", "m8[s]", ">f4")
FILLS: dict[str, Callable[[np.random.Generator, tuple], np.ndarray]] = {
    "zeros": lambda rng, shape: np.zeros(shape),
    "ones": lambda rng, shape: np.ones(shape),
    "greys": lambda rng, shape: rng.random(shape),
    "binary": lambda rng, shape: rng.integers(0, 2, shape),
    "digits": lambda rng, shape: rng.integers(0, 10, shape),
    "bytes": lambda rng, shape: rng.integers(0, 256, shape),
    "normal": lambda rng, shape: rng.normal(size=shape),
    "huge": lambda rng, shape: rng.normal(size=shape) * 1e30,
    "largest": lambda rng, shape: rng.choice([-1.0, 1.0], shape) * np.finfo(np.float64).max,
    "tiny": lambda rng, shape: rng.normal(size=shape) * 1e-300,
    "gaps": lambda rng, shape: np.where(rng.random(shape) > 0.5, np.nan, 0.5),
    "infinite": lambda rng, shape: np.where(rng.random(shape) > 0.5, np.inf, 0.5),
}
SIDES = (0, 1, 2, 3, 5, 10, 28)


def build_array(shape: list[int], kind: str, fill: str, seed: int) -> np.ndarray:
    """An array of that shape and type; what does not fit the type is wrapped, cut off or made text."""
    values = FILLS[fill](np.random.default_rng(seed), tuple(shape))
    with np.errstate(all="ignore"):
        if kind in ("M8[s]", "m8[s]"):
            return values.astype("u1").astype("i8").astype(kind)
        return values.astype(kind)


class Named(NamedTuple):
    """A value that is built anew for each call, and says its name where it failed."""

    name: str
    build: Callable[[], Any]

    def __repr__(self) -> str:
        return self.name


NUMBERS = [
    *(0, 1, 2, 3, 7, -1, -7, TOO_MANY, -TOO_MANY, 2**31, 2**32, 2**63, 2**64, 10**5_000),
    *(0.0, -0.0, 0.5, 2.0, 2.5, -1.5, 1e-320, 1e30, 1e308, float("nan"), float("inf"), float("-inf")),
    *(True, False, None, 1j, Decimal(2), Fraction(1, 2), np.float32(2.5), np.int8(3), np.uint64(2**63), np.bool_(True)),
]
TEXTS = [
    "",
    " ",
    "3",
    "quick",
    "full ",
    "\0",
    "naïve 数",
    "x" * 300,
    "../..",
    "/",
    "no such file.npz",
    "/dev/null",
    b"3",
]
THINGS = [
    Named("object()", object),
    Named("{}", dict),
    Named("set()", set),
    Named("()", tuple),
    Named("[]", list),
    Named("[[]]", lambda: [[]]),
    Named("[None]", lambda: [None]),
    Named("ragged", lambda: [[1.0, 2.0], [1.0]]),
    Named("names", lambda: ["a", "b"]),
    Named("pairs", lambda: [(1, "a")]),
    Named("{'a': 1}", lambda: {"a": 1}),
    Named("{'a': [1, 2]}", lambda: {"a": [1, 2]}),
    Named("{1: None}", lambda: {1: None}),
    Named("generator", lambda: (x for x in (1, 2))),
    Named("iter of arrays", lambda: iter([np.zeros(3)])),
    Named("range(3)", lambda: range(3)),
    Named("range(10**13)", lambda: range(TOO_MANY)),
    Named("int", lambda: int),
    Named("len", lambda: len),
    Named("...", lambda: ...),
    Named("a folder", lambda: Path(__file__).parent),
    Named("this file", lambda: Path(__file__)),
    Named("today", lambda: np.datetime64("2026-11-30")),
    Named("a tensor", lambda: tf.zeros((2, 3))),
    Named("a tensor of text", lambda: tf.constant(["a"])),
    Named("a ragged tensor", lambda: tf.ragged.constant([[1.0], [1.0, 2.0]])),
    Named("a variable", lambda: keras.Variable(np.zeros(3, "float32"))),
    Named("a symbolic tensor", lambda: keras.Input((3,))),
    Named("a stream", lambda: tf.data.Dataset.from_tensor_slices(np.zeros((4, 3), "float32"))),
    Named("a frame", lambda: pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})),
    Named("a series", lambda: pd.Series([1.0, None])),
    Named("a sparse matrix", lambda: sparse.eye(3, format="csr")),
    Named("a structured array", lambda: np.zeros(3, [("a", "f4"), ("b", "i4")])),
    Named("an endless list", lambda: _make_endless()),
    Named("what refuses to be told", lambda: _Untold()),
]


class _Untold:
    def __repr__(self) -> str:
        raise RuntimeError("this has no repr")


def _make_endless() -> list:
    endless: list = []
    endless.append(endless)
    return endless


# A good value with one thing wrong

SPOILED: dict[str, Callable[[np.ndarray], Any]] = {
    "text": lambda array: array.astype(str),
    "objects": lambda array: array.astype(object),
    "complex": lambda array: array.astype(complex),
    "double": lambda array: array.astype(float),
    "half": lambda array: array.astype("f2"),
    "whole": lambda array: array.astype(int),
    "bytes": lambda array: (array * 255).astype("u1"),
    "0..255": lambda array: array * 255,
    "-1..1": lambda array: array * 2 - 1,
    "beyond": lambda array: array + 1,
    "between": lambda array: array + 0.5,
    "negative": lambda array: -array,
    "huge": lambda array: array * 1e300,
    "huge as it is": lambda array: (array * 1e30).astype(array.dtype, copy=False),
    "a NaN": lambda array: _put(array, np.nan),
    "an infinity": lambda array: _put(array, np.inf),
    "one more": lambda array: np.concatenate([array, array[:1]]),
    "one less": lambda array: array[:-1],
    "none": lambda array: array[:0],
    "flat": np.ravel,
    "rows": lambda array: array.reshape(len(array), -1),
    "no last axis": lambda array: array[..., 0],
    "one axis more": lambda array: array[..., None],
    "the first": lambda array: array[0],
    "turned": lambda array: array.T,
    "thrice the last axis": lambda array: np.concatenate([array] * 3, axis=-1),
    "a list": lambda array: array.tolist(),
    "a tuple of rows": lambda array: (*array,),
    "a pair": lambda array: (array, array),
    "a table": lambda array: {"images": array},
    "a tensor": tf.constant,
    "a variable": lambda array: keras.Variable(array),
    "for reading only": lambda array: _lock(array.copy()),
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "with gaps": lambda array: np.repeat(array, 2, axis=0)[::2],
}


def _put(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.astype(np.result_type(array.dtype, np.float32), copy=True)
    changed.flat[:1] = value
    return changed


def _lock(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def odd_values() -> st.SearchStrategy:
    """Anything at all: numbers, texts, arrays of every type and shape, tensors, tables, things."""
    arrays = st.builds(
        build_array,
        st.lists(st.sampled_from(SIDES), max_size=4),
        st.sampled_from(TYPES),
        st.sampled_from(list(FILLS)),
        st.integers(0, 9),
    )
    return st.one_of(st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.sampled_from(THINGS), arrays)


def spoiled(value: Any) -> st.SearchStrategy:
    """A good value with something wrong, or with nothing, or another of its kind."""
    if isinstance(value, np.ndarray | tf.Tensor) and np.ndim(value):
        array, changes = np.asarray(value), list(SPOILED)
        return st.sampled_from(changes).map(lambda name: Named(name, lambda: SPOILED[name](array)))
    if isinstance(value, bool | int | float | np.number):
        return st.one_of(st.sampled_from(NUMBERS), st.just(str(value)), st.just([value]), st.just(np.array([value])))
    if isinstance(value, str | Path):
        return st.sampled_from([*TEXTS, *(Path(text) for text in TEXTS if isinstance(text, str))])
    if isinstance(value, tuple | list | dict):
        several = [[], (), {}, [*value], (*value,), str(value), [*value] * 2, [value], {"a": value}]
        return st.sampled_from(several)
    return st.none()


def unpack(value: Any) -> Any:
    """The value itself, built anew where it is a Named; one that cannot be built, such as half of a text, is None."""
    if not isinstance(value, Named):
        return value
    try:
        with np.errstate(all="ignore"):
            return value.build()
    except Exception:
        return None


# How a call may end


def is_named(error: BaseException, also: tuple[type[Exception], ...] = ()) -> bool:
    """Whether an error is one of the book's own, in words, or one that the function's docstring names."""
    own = isinstance(error, ValueError) and type(error).__module__.startswith("helpers")
    return (own or isinstance(error, also)) and 20 < len(str(error)) < LONGEST


@contextmanager
def time_limit() -> Iterator[None]:
    """Ends what hangs by a TimeoutError."""
    seconds = MOST_SECONDS

    def stop(*_: object) -> None:
        raise TimeoutError(f"it has not ended after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
