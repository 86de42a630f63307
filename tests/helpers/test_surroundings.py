"""What lies around a chapter: what changes its results is refused, and whoever follows the advice comes out."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest
from keras.src.backend import config as keras_config

from helpers.book import doctor, surroundings
from tools.environment import quick_environment
from tools.notebook_files import ROOT

SETTINGS = {"floatx": "float32", "epsilon": 1e-07, "backend": "tensorflow", "image_data_format": "channels_last"}
START = "from helpers.book import runtime; runtime.start()"
CHANGES = ("KERAS_BACKEND", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "MPLCONFIGDIR", "TMPDIR", "XDG_CACHE_HOME")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of its own, in which nothing is set."""
    for name in (*CHANGES, "KERAS_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "")  # so that what a test leaves there goes with it
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)  # where Keras itself makes a folder "~" of a KERAS_HOME that begins so
    return tmp_path


@pytest.fixture
def before_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Keras had not been imported yet."""
    monkeypatch.delitem(sys.modules, "keras")


def write_settings(home: Path, text: str) -> Path:
    file = home / ".keras" / "keras.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


# Keras before it is imported


@pytest.mark.usefixtures("before_keras")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_data_format", "channels_first"),
        ("floatx", "float64"),
        ("floatx", "bfloat16"),
        ("epsilon", 1e-3),
        ("backend", "jax"),
        ("backend", ["no", "name"]),
    ],
)
def test_a_setting_in_the_file_is_named_and_the_advice_mends_it(name: str, value: object, home: Path) -> None:
    file = write_settings(home, json.dumps(SETTINGS | {name: value}))
    with pytest.raises(surroundings.SettingsError) as caught:
        surroundings.check_keras()
    advice = f"{file} says {name} {value!r}, expected {SETTINGS[name]!r}: change it there, then restart."
    assert str(caught.value) == advice
    write_settings(home, json.dumps(SETTINGS))
    surroundings.check_keras()


@pytest.mark.usefixtures("before_keras")
@pytest.mark.parametrize("name", ["KERAS_BACKEND", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"])
def test_a_setting_of_the_environment_is_named_and_the_advice_mends_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "jax" if name == "KERAS_BACKEND" else "3")
    with pytest.raises(surroundings.SettingsError, match=rf"^{name} is '\w+', .*: unset it, then restart\.$"):
        surroundings.check_keras()
    monkeypatch.delenv(name)
    surroundings.check_keras()


@pytest.mark.usefixtures("before_keras")
def test_all_that_is_wrong_is_named_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(home, json.dumps(SETTINGS | {"floatx": "float16", "backend": "torch"}))
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    named = re.findall("KERAS_[A-Z_]+|floatx|backend", str(surroundings.find_faults()))
    assert named == ["KERAS_BACKEND", "KERAS_MAX_EPOCHS", "floatx"]  # the file's backend does not count beside it


@pytest.mark.usefixtures("before_keras")
@pytest.mark.parametrize("text", ["[]", "3", '"float32"', "null"])
def test_a_file_that_would_stop_keras_is_named(text: str, home: Path) -> None:
    file = write_settings(home, text)
    assert surroundings.find_faults() == [f"{file} holds no settings, which stops Keras: move it, then restart."]


@pytest.mark.usefixtures("before_keras")
def test_a_file_that_cannot_be_read_is_named(home: Path) -> None:
    (home / ".keras" / "keras.json").mkdir(parents=True)
    assert re.search(r"keras\.json stops Keras \(Is a directory\): make it a file", surroundings.find_faults()[0])


@pytest.mark.usefixtures("before_keras")
@pytest.mark.parametrize("text", ["", "{", json.dumps(SETTINGS), json.dumps({"backend": "tensorflow"})])
def test_what_keras_copes_with_is_no_fault(text: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_settings(home, text)
    assert surroundings.find_faults() == []
    for given in ("", "tensorflow"):
        monkeypatch.setenv("KERAS_BACKEND", given)
        assert surroundings.find_faults() == []


# Keras as it runs


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_data_format", "channels_first"),
        ("floatx", "float64"),
        ("epsilon", 1e-3),
        ("dtype_policy", "mixed_float16"),
        ("dtype_policy", "float16"),
        ("max_epochs", 2),
        ("max_steps_per_epoch", 2),
    ],
)
def test_a_setting_of_the_notebook_is_named_and_the_advice_mends_it(name: str, value: object) -> None:
    surroundings.check_keras()
    getattr(keras.config, f"set_{name}")(value)
    try:
        with pytest.raises(surroundings.SettingsError, match=f"^Keras's {name} is {value!r}, expected ") as caught:
            surroundings.check_keras()
    finally:
        advice = re.search(r": (keras\.config\.set_\w+\(.*\))\.$", str(caught.value))[1]
        eval(advice, {"keras": keras})
    surroundings.check_keras()


def test_where_a_setting_comes_from_is_named_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell mends it for a notebook; the next one meets it again."""
    file = write_settings(home, json.dumps(SETTINGS | {"floatx": "float16"}))
    assert surroundings.find_faults() == []  # as long as Keras has not taken it over
    monkeypatch.setattr(keras.config, "floatx", lambda: "float16")
    here, for_good = surroundings.find_faults()
    assert here.endswith("keras.config.set_floatx('float32').")
    assert for_good == f"For good: {file} says floatx 'float16', expected 'float32': change it there, then restart."


def test_another_backend_that_runs_already_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    assert surroundings.find_faults() == [
        "Keras's backend is 'jax', expected 'tensorflow': unset KERAS_BACKEND, then restart."
    ]


def test_an_older_keras_without_limits_is_right() -> None:
    config = SimpleNamespace(**{name: lambda value=value: value for name, value in SETTINGS.items()})
    assert list(surroundings._ask_keras(config, ())) == []


# Folders and the console


@pytest.mark.parametrize("changes", [{}, {"KERAS_HOME": "~/k"}, {"HOME": "/proc/nohome"}])
def test_keras_keeps_things_where_the_book_looks(changes: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    names: dict = {}
    exec(Path(keras_config.__file__).read_text(encoding="utf-8"), names)  # as if it were imported only now
    assert str(surroundings.find_keras_home()) == os.path.expanduser(names["keras_home"]())  # noqa: PTH111  as it does


def test_a_home_that_can_be_written_needs_no_word(home: Path) -> None:
    assert list(surroundings.find_notes()) == []
    surroundings.give_matplotlib_a_folder()
    assert "MPLCONFIGDIR" not in os.environ


@pytest.mark.parametrize("name", ["HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"])
def test_matplotlib_gets_a_folder_where_it_could_write_to_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/proc/nohome")
    assert [kind for kind, _, _ in surroundings.find_notes()] == ["note"]
    surroundings.give_matplotlib_a_folder()
    assert Path(os.environ["MPLCONFIGDIR"]).is_dir()
    monkeypatch.setenv("HOME", os.environ["MPLCONFIGDIR"])
    assert list(surroundings.find_notes()) == []


def test_a_home_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_expand", Path)
    assert str(surroundings.find_keras_home()) == "/tmp/.keras"
    assert any("~/.config/matplotlib" in text for _, text, _ in surroundings.find_notes())


def test_no_folder_for_what_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(surroundings.tempfile, "gettempdir", fail)
    ((kind, text, cure),) = surroundings.find_notes()
    assert (kind, cure) == ("PROBLEM", "set TMPDIR to a folder that can be written")
    assert text.startswith("No usable temporary directory")


def test_another_folder_for_what_is_temporary_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings.tempfile, "gettempdir", lambda: str(home))
    monkeypatch.setenv("TMPDIR", str(home))
    assert list(surroundings.find_notes()) == []
    monkeypatch.setenv("TMPDIR", "/away")
    ((kind, text, cure),) = surroundings.find_notes()
    assert (kind, cure) == ("note", "set TMPDIR to a folder that can be written")
    assert text == f"TMPDIR is /away, which cannot be written: {home} is taken"


@pytest.mark.parametrize(("encoding", "shown"), [("cp932", "a ? ?"), ("ascii", "a ? ?"), ("cp1252", "a · ?")])
def test_a_console_shows_what_it_can(encoding: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    surroundings.let_print()
    print("a · ɸ", end="", flush=True)
    assert stream.buffer.getvalue().decode(encoding) == shown
    assert [text for _, text, _ in surroundings.find_notes()] == [
        f"the console takes {encoding}: signs that it lacks are shown as ?"
    ]


@pytest.mark.parametrize("stream", [None, object()])
def test_what_is_no_console_is_left_alone(stream: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    surroundings.let_print()
    assert list(surroundings.find_notes()) == []


# Processes as they are


def start_in(folder: Path, **changes: str) -> subprocess.CompletedProcess:
    environment = quick_environment(PYTHONPATH=str(ROOT), **changes)
    command = [sys.executable, "-c", f"{START}; import matplotlib.pyplot"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)


def test_a_chapter_starts_quietly_where_nothing_can_be_written_and_the_console_is_japanese(tmp_path: Path) -> None:
    done = start_in(tmp_path, HOME="/proc/nohome", PYTHONIOENCODING="cp932")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines() == [b"profile: quick ? seed: 0 ? device: CPU"]


def test_a_chapter_and_the_doctor_say_which_setting_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras itself cannot be imported then, and would name a package that is missing."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    said = "helpers.book.surroundings.SettingsError: KERAS_BACKEND is 'jax', "
    said += "expected 'tensorflow': unset it, then restart."
    cure = "mend the packages above, or the setting that is refused"
    assert list(doctor.check_run()) == [("PROBLEM", said, cure)]


# Folders


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is one folder")
def test_matplotlib_is_looked_for_where_it_looks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert surroundings._find_matplotlib() == [home / ".config/matplotlib", home / ".cache/matplotlib"]
    monkeypatch.setenv("XDG_CONFIG_HOME", "/settings")
    monkeypatch.setenv("XDG_CACHE_HOME", "/kept")
    assert surroundings._find_matplotlib() == [Path("/settings/matplotlib"), Path("/kept/matplotlib")]
    monkeypatch.setenv("MPLCONFIGDIR", "/mine")
    assert surroundings._find_matplotlib() == [Path("/mine")]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_matplotlib_has_one_folder_elsewhere(platform: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert surroundings._find_matplotlib() == [home / ".matplotlib"]


def test_a_folder_of_its_own_says_whose_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_can_write", lambda folder: False)
    surroundings.give_matplotlib_a_folder()
    folder = Path(os.environ["MPLCONFIGDIR"])
    assert folder.name.startswith("matplotlib-")
    folder.rmdir()
