"""What lies around a chapter and changes what it computes, or stops it: Keras's settings, folders, the console.

It needs nothing but Python: start() asks before it imports Keras, and the doctor asks the same.
"""

import atexit
import codecs
import contextlib
import io
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KERAS = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7}
LIMITS = ("max_epochs", "max_steps_per_epoch")  # Keras can be told by its environment to end each training early


class SettingsError(ValueError):
    """A setting of this machine, shell or notebook would change what the book computes."""


def check_keras(*names: str) -> None:
    """Raise SettingsError, naming each setting of Keras that is not the book's, where it stands and what to do.

    Before Keras is imported its environment and its file keras.json are asked, afterwards Keras itself, and of it only
    for those names, if there are any.
    """
    faults = find_faults(*names)
    if faults:
        raise SettingsError(" ".join(faults))


def find_faults(*names: str) -> list[str]:
    """Return the sentences of that error, none where all is as the book expects."""
    keras = sys.modules.get("keras")
    faults = list(_read_keras() if keras is None else _ask_keras(keras.config, names))
    return faults if keras is None or not faults else [*faults, *(f"For good: {one}" for one in _read_keras())]


def _read_keras() -> Iterator[str]:
    wanted, file = dict(KERAS), find_keras_home() / "keras.json"
    backend = os.environ.get("KERAS_BACKEND")
    if backend:  # then that of the file does not count
        expected = wanted.pop("backend")
        if backend != expected:
            yield f"KERAS_BACKEND is {backend!r}, expected {expected!r}: unset it, then restart."
    for name in (f"KERAS_{limit.upper()}" for limit in LIMITS):
        if name in os.environ:
            yield f"{name} is {os.environ[name]!r}, which would end each training early: unset it, then restart."
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):  # Keras then takes its defaults, too
        return
    except OSError as error:
        yield f"{file} stops Keras ({error.strerror}): make it a file that can be read, or move it, then restart."
        return
    if not isinstance(settings, dict):
        yield f"{file} holds no settings, which stops Keras: move it, then restart."
        return
    for name, expected in wanted.items():
        if settings.get(name, expected) != expected:
            yield f"{file} says {name} {settings[name]!r}, expected {expected!r}: change it there, then restart."


def _ask_keras(config: Any, names: tuple[str, ...]) -> Iterator[str]:
    wanted = KERAS | {"dtype_policy": KERAS["floatx"]} | dict.fromkeys(LIMITS)
    for name, expected in wanted.items() if not names else ((name, wanted[name]) for name in names):
        found = getattr(config, name)() if hasattr(config, name) else expected  # older versions know no limits
        found = getattr(found, "name", found)
        if found != expected:
            cure = (
                "unset KERAS_BACKEND, then restart" if name == "backend" else f"keras.config.set_{name}({expected!r})"
            )
            yield f"Keras's {name} is {found!r}, expected {expected!r}: {cure}."


def find_keras_home() -> Path:
    """Return the folder in which Keras looks for its settings and keeps its data."""
    if "KERAS_HOME" in os.environ:
        return _expand(os.environ["KERAS_HOME"])
    home = _expand("~")
    return Path(home if os.access(home, os.W_OK) else "/tmp", ".keras")


def find_cached_mnist() -> Path:
    """Return where in Keras's cache MNIST is, or would be."""
    return find_keras_home() / "datasets" / "mnist.npz"


def give_matplotlib_a_folder() -> None:
    """Name Matplotlib a folder for this process alone where it could write to none: it would warn, or not start."""
    if not all(map(_can_write, _find_matplotlib())):
        os.environ["MPLCONFIGDIR"] = tempfile.mkdtemp(prefix="matplotlib-")
        atexit.register(shutil.rmtree, os.environ["MPLCONFIGDIR"], ignore_errors=True)
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)  # warns when its list of fonts takes long


def let_print() -> None:
    """Have a console that lacks a sign show a question mark in its place, and not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def find_notes() -> Iterator[tuple[str, str, str]]:
    """Yield (kind, text, cure) of what a chapter does without, if less well, a "note"; without a "PROBLEM" not."""
    closed = [str(folder) for folder in (find_keras_home(), *_find_matplotlib()) if not _can_write(folder)]
    if closed:
        text = f"{', '.join(closed)} cannot be written: what is kept there is made anew each time"
        yield "note", text, "set HOME, or KERAS_HOME and MPLCONFIGDIR, to a folder that can be written"
    cure = "set TMPDIR to a folder that can be written"
    try:
        named, found = os.environ.get("TMPDIR"), tempfile.gettempdir()
        if named and Path(named).absolute() != Path(found):
            yield "note", f"TMPDIR is {named}, which cannot be written: {found} is taken", cure
    except OSError as error:
        yield "PROBLEM", f"{error.strerror}", cure
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if codecs.lookup(encoding).name != "utf-8":
        cure = "set PYTHONUTF8 to 1, and unset PYTHONIOENCODING"
        yield "note", f"the console takes {encoding}: signs that it lacks are shown as ?", cure


def _expand(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path.expanduser() is an error where nobody knows the home


def _find_matplotlib() -> list[Path]:
    if os.environ.get("MPLCONFIGDIR"):
        return [Path(os.environ["MPLCONFIGDIR"])]
    home = _expand("~")
    if not sys.platform.startswith(("linux", "freebsd")):
        return [home / ".matplotlib"]
    bases = os.environ.get("XDG_CONFIG_HOME") or home / ".config", os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return [Path(base, "matplotlib") for base in bases]


def _can_write(folder: Path) -> bool:
    """Whether files can be written in a folder, which is made where it is missing: its package would do the same."""
    if str(folder).startswith("~"):
        return False
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
