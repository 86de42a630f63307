"""What functions ask of their arguments before they use them; the doors themselves are tried in test_doors.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from helpers import arguments


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (np.zeros((2, 3)), (2, 3)),
        (tf.TensorSpec((None, 28)), (None, 28)),
        (tf.TensorSpec(None), None),  # of a stream that does not tell how many axes there are
        (5.0, ()),
    ],
)
def test_a_shape_is_read_from_whatever_has_one(given: object, shape: tuple | None) -> None:
    assert arguments.read_shape(given) == shape


def test_numbers_of_a_graph_that_is_traced_are_let_through() -> None:
    with tf.Graph().as_default():
        unknown = tf.constant(-5)
        arguments.check_whole(count=unknown)
        arguments.check_positive(rate=tf.cast(unknown, tf.float32))
    with pytest.raises(arguments.ArgumentError, match="expected a whole number, 1 or more"):
        arguments.check_whole(count=tf.constant(-5))


class NoArray:
    """What raises as soon as NumPy asks."""

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise RuntimeError("not now")


def test_what_is_no_array_is_no_rate() -> None:
    with pytest.raises(arguments.ArgumentError, match=r"rate is <.*>, expected a number, above 0"):
        arguments.check_positive(rate=NoArray())


def test_arrays_that_fit_into_no_memory_are_refused_with_their_size() -> None:
    arguments.check_room(2**21, 2**10)
    with pytest.raises(KeyError, match="2097153 x 1024 numbers take 9 GB; ask for fewer at a time"):
        arguments.check_room(2**21 + 1, 2**10, error=KeyError)


def test_what_has_no_values_yet_is_told_apart() -> None:
    with pytest.raises(arguments.ArgumentError, match=r"^images is a KerasTensor, .*; call this in a layer"):
        arguments.check_floats(images=keras.Input((28, 28, 1)))


def test_rows_are_counted_where_they_are_known() -> None:
    unknown = tf.TensorSpec(None)
    arguments.check_same_rows(one=np.zeros((2, 3)), other=np.zeros((2, 5)), third=unknown)
    with pytest.raises(arguments.ArgumentError, match=r"\{'one': 2, 'other': 3\} rows, expected as many of each"):
        arguments.check_same_rows(one=np.zeros(2), other=np.zeros(3))


def test_shapes_are_compared_where_they_are_known() -> None:
    arguments.check_alike(one=np.zeros((2, 3)), other=tf.TensorSpec(None), third=tf.TensorSpec((None, 3)))
    with pytest.raises(arguments.ArgumentError, match=r"\(2, 3\).*\(None, 4\).*expected one"):
        arguments.check_alike(one=np.zeros((2, 3)), other=tf.TensorSpec((None, 4)))


def test_a_value_is_told_even_where_it_cannot_be_written() -> None:
    class Tired:
        def __len__(self) -> int:
            raise RuntimeError("gone")

    Tired.__name__ = "list"  # by which reprlib goes
    assert arguments.tell([1, 2]) == "[1, 2]"
    assert arguments.tell(Tired()) == "a list that cannot be written"
