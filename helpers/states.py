"""A training's state in a file: written as a whole or not at all, the one before kept, and looked at before use."""

import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np


class StateFile:
    """The file of a state, and beside it the one before, path.previous, and the one that is under way.

    error: the exception, made with a sentence, that is raised for whatever is wrong. place: the file that read() took.
    """

    def __init__(self, path: Path, error: Callable[[str], Exception]) -> None:
        self.path, self.place, self.error = path, path, error
        self.previous, self.unfinished = (path.with_name(f"{path.name}.{end}") for end in ("previous", "unfinished"))

    def write(self, made_with: Any, arrays: dict[str, Any]) -> None:
        """Put a new state in the place of the old one, which becomes the one before; both are whole at any moment."""
        with self._open() as stream:
            np.savez(stream, **arrays, made_with=json.dumps(made_with))
        with self._name_what_fails():
            if self.path.exists():
                self.path.replace(self.previous)
            self.unfinished.replace(self.path)  # where it comes to a stop before this, read() does it

    def check_place(self) -> None:
        """Raise an error unless a state can be written here: better now than after hours."""
        with self._open():
            pass
        self.unfinished.unlink(missing_ok=True)  # several processes of one training may look at once

    def read(self) -> dict[str, Any] | None:
        """Return the arrays by name, and what they were made with; None where there is no file.

        Where the file is cut off or changed it is the state before, and there is a warning.
        """
        with suppress(OSError, _DamagedError):
            if self.path.exists():  # what a stopped write has left must not come back when somebody deletes the file
                self.unfinished.unlink(missing_ok=True)
            elif self.unfinished.exists():
                self._read(self.unfinished)
                self.unfinished.replace(self.path)
        if not self.path.exists():
            return None
        try:
            return self._read(self.path)
        except _DamagedError as damage:
            said = f"{self.path} is no whole checkpoint ({damage})"
            with suppress(_DamagedError):
                if self.previous.exists():
                    arrays = self._read(self.previous)
                    warnings.warn(f"{said}; training goes on from the state before, {self.previous}.", stacklevel=2)
                    with suppress(OSError):  # else the next write would keep the damaged one in its place
                        self.place = self.previous.replace(self.path)
                    return arrays
            raise self.error(f"{said}, nor is there one before it; delete it to begin anew.") from damage

    def take_values(self, arrays: dict[str, Any], variables: Sequence[keras.Variable]) -> list[np.ndarray]:
        """Return what read() gave for variables, and take it out of arrays.

        Raises an error unless there is a value of the right shape and type for each, and none besides.
        """
        values = [arrays.pop(f"variable_{index}", None) for index in range(len(variables))]
        for value, variable in zip(values, variables, strict=True):
            wanted = variable.numpy()
            found = "nothing" if value is None else f"{value.dtype} {value.shape}"
            if found != f"{wanted.dtype} {wanted.shape}":
                name = getattr(variable, "path", variable.name)
                raise self.refuse(f"holds {found} for {name}, this training has {wanted.dtype} {wanted.shape}")
        if others := sorted(name for name in arrays if name.startswith("variable_")):
            raise self.refuse(f"holds {', '.join(others)}, for which this training has no variables")
        return values

    def refuse(self, what: str) -> Exception:
        """Return the error for a file that is not one of this training; what: the rest of the sentence."""
        return self.error(f"{self.place} {what}; give another path, or move that file away to begin anew.")

    def _read(self, place: Path) -> dict[str, Any]:
        self.place, packed = place, False
        try:
            with place.open("rb") as stream:
                packed = stream.read(2) in (b"PK", b"")  # as a .npz begins, or cut off at once
                with zipfile.ZipFile(stream) as members:
                    names = members.namelist()
                    if sum(one.file_size for one in members.infolist()) > place.stat().st_size:  # states are not packed
                        raise ValueError("it claims more bytes than it holds")
                    # To their ends, where they are compared with their checksums
                    contents = {name: members.read(name) for name in names if "made_with.npy" in names}
        except OSError as error:
            raise self.refuse(f"cannot be read ({error.strerror or error})") from error
        except Exception as error:  # zipfile has many for bytes of chance
            raise _DamagedError(error) if packed else self.refuse(f"is no checkpoint ({error})") from error
        try:
            arrays = {
                name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
                for name, content in contents.items()
            }
            return arrays | {"made_with": json.loads(str(arrays["made_with"]))}
        except Exception as error:  # and NumPy, for headers of chance
            raise self.refuse(f"is no checkpoint ({error!r})") from error

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """Give a stream for a state that reaches the disk as a whole, or leaves nothing."""
        with self._name_what_fails():
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.unfinished.open("wb") as stream:
                    yield stream
                    stream.flush()
                    os.fsync(stream.fileno())  # or a loss of power may leave the new name without its bytes
            except BaseException:
                with suppress(OSError):
                    self.unfinished.unlink(missing_ok=True)  # a full disk needs the room
                raise

    @contextmanager
    def _name_what_fails(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kept = "the last state stays as it was" if self.path.exists() else "no state was kept before"
            raise self.error(
                f"{self.path} cannot be written ({error.strerror or error}); {kept}. Make room there, or give a path "
                "in a folder that you may write to, and run again: training goes on from the last state."
            ) from error


class _DamagedError(Exception):
    """A file was a state once, but its end is missing, or bytes are not those that were written."""
