"""Files that may hold anything: looked at before they are read, so that a small one cannot claim gigabytes."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from helpers.arguments import check_kind, tell

MOST_BYTES = 2**30  # of all arrays in a file: MNIST has 55 million
MOST_MEMBERS = 10_000
BLOCK = 2**20


def check_arrays(path: Any, error: type[Exception], most: int = MOST_BYTES, others: bool = False) -> None:
    """Raise error unless each array of an .npz file is as long as its header says, whole, plain, and all fit in most.

    others: whether there may be something else beside them, or objects, which nobody opens.
    The file is read to its end once, a block at a time. What is no .npz file at all, or is not there, is left to those
    who read it, who say what they had expected.
    """
    check_kind(str | os.PathLike, "a path, such as 'images.npz'", error, path=path)
    try:
        if not Path(path).is_file():
            if Path(path).exists() and not Path(path).is_dir():
                raise ValueError("that is no file, and may have no end")
            return
        with Path(path).open("rb") as stream:
            if stream.read(6) == np.lib.format.MAGIC_PREFIX:  # a single array
                stream.seek(0)
                _check_array(stream, tell(str(path)), others)
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > most:
                raise ValueError(
                    f"it claims {sum(one.file_size for one in members):,} bytes, expected {most:,} at most"
                )
            for member in members:
                with archive.open(member) as stream:
                    _check_array(stream, member.filename, others)
    except Exception as no:  # zipfile and NumPy have many for bytes of chance
        raise error(
            f"{tell(str(path))}: cannot be read ({type(no).__name__}: {str(no)[:300]}); fetch or write the file again."
        ) from no


def _check_array(stream: Any, name: str, others: bool) -> None:
    """Raise ValueError unless a stream is one whole array of plain values."""
    try:
        version = np.lib.format.read_magic(stream)
    except ValueError:
        if others:
            return
        raise
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    if dtype.hasobject and others and all(0 <= side <= MOST_BYTES for side in shape):
        return
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects, which are never opened")
    claimed, found = dtype.itemsize, 0
    for side in shape:
        claimed *= side
    while block := stream.read(BLOCK):  # to the end, where it is compared with its checksum
        found += len(block)
    if claimed != found or min(shape, default=0) < 0:
        raise ValueError(f"{name} claims {claimed:,} bytes and holds {found:,}")


def check_json(path: Path, error: type[Exception]) -> None:
    """Raise error as read_json does, where the file is there."""
    if path.exists():
        read_json(path, error)


def read_json(path: Path, error: type[Exception]) -> Any:
    """Return what a JSON file holds; raise error where it cannot be read, is no JSON, or holds NaN or infinity."""
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError, RecursionError) as no:
        raise error(f"{path} is not JSON ({no}); restore it, or measure it again.") from no


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not finite")
