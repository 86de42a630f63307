"""Work in a process apart that is replaced now and then: what TensorFlow keeps of a chapter ends with it."""

import contextlib
import multiprocessing
import pickle
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor


@contextlib.contextmanager
def open_process(pieces: int) -> Iterator[Callable]:
    """Give a `call(function, *given)` that runs in another process, a new one after so many pieces of work.

    Function, what it is given and what it returns must be picklable. Warnings are there what they are here.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn, max_tasks_per_child=pieces) as pool:

        def call(function: Callable, *given: object) -> object:
            return pool.submit(_call, list(warnings.filters), function, given).result()

        yield call


def _call(filters: list, function: Callable, given: tuple) -> object:
    warnings.resetwarnings()
    warnings.filters.extend(filters)
    try:
        return function(*given)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # some of TensorFlow's cannot be built again: one would break the pool
            raise AssertionError(traceback.format_exc()) from None
        raise
