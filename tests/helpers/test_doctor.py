"""The command that looks at the machine: each problem, faked, is named with its cure; a sound machine passes."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

from helpers import data
from helpers.book import doctor
from tools.environment import quick_environment
from tools.notebook_files import ROOT

PAGE = (ROOT / "book/environment.md").read_text(encoding="utf-8")
SHOWN = re.search(r"```text\n(ok +Python.*?)```", PAGE, re.DOTALL)[1]
SOUND = {"load_digits": "(1797, 8, 8)", "runtime.start": "profile: quick · seed: 0 · device: CPU"}
RUN = doctor._run
NO_NETWORK = """
import socket

def refuse(*given, **options):
    raise RuntimeError("NETWORK")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """A sound machine without MNIST, on which code that holds a given text fails or says something else."""
    for name in ("MNIST_NPZ", "COLAB_RELEASE_TAG", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    pins = dict(re.findall(r"(?m)^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8")))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: pins[name])

    def break_it(text: str = "", said: str = "SomeError: why", works: bool = False) -> None:
        def run(code: str) -> tuple[bool, str]:
            if text and text in code:
                return works, said
            return True, next((answer for part, answer in SOUND.items() if part in code), "")

        monkeypatch.setattr(doctor, "_run", run)

    break_it()
    return break_it


def report(capsys: pytest.CaptureFixture) -> tuple[int, str]:
    problems = doctor.examine()
    return problems, capsys.readouterr().out


def test_a_sound_machine_has_nothing_to_mend(capsys: pytest.CaptureFixture) -> None:
    problems, printed = report(capsys)
    assert problems == 0
    assert "PROBLEM" not in printed
    assert "note    MNIST is not on this machine\n        -> `quick` needs none" in printed
    assert printed.endswith("profile: quick · seed: 0 · device: CPU\n0 to mend, 1 to know\n")


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_another_python(version: tuple, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(doctor.sys, "version_info", (*version, 0, "final", 0))
    problems, printed = report(capsys)
    assert problems == 1
    assert re.search(r"PROBLEM Python .*\n +-> take 3.11, 3.12 or 3.13", printed)


def test_an_environment_that_is_not_activated_is_a_note(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(doctor.sys, "base_prefix", sys.prefix)
    problems, printed = report(capsys)
    assert problems == 0
    assert re.search(r"note    packages in .*\n +-> `source .venv/bin/activate`, in Windows `.venv", printed)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    assert "ok      packages in" in report(capsys)[1]


@pytest.mark.parametrize("name", [*doctor.LIGHT, *doctor.HEAVY])
def test_a_package_that_is_missing(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    version = importlib.metadata.version

    def missing(asked: str) -> str:
        if asked == name:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(asked)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    problems, printed = report(capsys)
    assert problems == 1
    assert re.search(rf"PROBLEM {name} is not installed, wanted {name}==[\d.]+\n +-> `make book`, or `python", printed)


@pytest.mark.parametrize("name", [*doctor.LIGHT, *doctor.HEAVY])
def test_a_package_that_is_broken(name: str, machine: Callable, capsys: pytest.CaptureFixture) -> None:
    machine(f"import {(doctor.LIGHT | doctor.HEAVY)[name][0]}")
    problems, printed = report(capsys)
    assert problems == 1
    expected = (
        rf"PROBLEM {name} [\d.]+ cannot be imported: SomeError: why\n +-> `python -m pip install --force-reinstall"
    )
    assert re.search(expected, printed)


@pytest.mark.parametrize(
    ("version", "kind", "says"), [("1.99.5", "PROBLEM", "is too old"), ("2.0.2", "note", ""), ("2.99", "note", "")]
)
def test_another_version(version: str, kind: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pinned = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version if name == "numpy" else pinned(name))
    problems, printed = report(capsys)
    assert problems == (kind == "PROBLEM")
    assert re.search(rf"{kind:8}numpy {version}.*{says}.*wanted numpy==", printed)


def test_where_it_is_installed_the_lower_bounds_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(doctor, "PINS", tmp_path / "requirements.txt")
    problems, printed = report(capsys)
    assert problems == 0
    assert "wanted numpy>=2.0\n" in printed


def test_the_lower_bounds_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounds = {name: f">={oldest}" for name, (_, oldest) in (doctor.LIGHT | doctor.HEAVY).items()}
    needed = [Requirement(line) for line in project["dependencies"]]
    along = {"jinja2", "pillow", "pygments", "ipython", "matplotlib-inline"}  # come with matplotlib and Jupyter
    assert {one.name: str(one.specifier) for one in needed if one.name not in along} == bounds
    assert project["requires-python"] == ">={}.{}".format(*doctor.OLDEST)


def test_digits_that_are_not_there(machine: Callable, capsys: pytest.CaptureFixture) -> None:
    machine("load_digits", "(0, 8, 8)", works=True)
    problems, printed = report(capsys)
    assert problems == 1
    assert "PROBLEM scikit-learn's digits: (0, 8, 8)\n        -> mend scikit-learn first" in printed


def test_a_setting_that_is_refused(machine: Callable, capsys: pytest.CaptureFixture) -> None:
    machine("runtime.start", "helpers.book.runtime.ProfileError: BOOK_PROFILE is 'fast'; expected one of quick, full.")
    problems, printed = report(capsys)
    assert problems == 1
    assert "PROBLEM helpers.book.runtime.ProfileError: BOOK_PROFILE is 'fast'" in printed


def test_mnist_named_where_no_file_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "none.npz"))
    problems, printed = report(capsys)
    assert problems == 1
    assert f"PROBLEM MNIST: {tmp_path}/none.npz\n        -> there is no such file" in printed


@pytest.mark.parametrize("named", [True, False])
def test_mnist_refused(named: bool, machine: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    path = tmp_path / "keras" / "datasets" / "mnist.npz"
    path.parent.mkdir(parents=True)
    path.write_text("<html>404</html>", encoding="utf-8")
    if named:
        monkeypatch.setenv("MNIST_NPZ", str(path))
    machine("read_mnist_file", "helpers.data.MnistError: cannot be read")
    problems, printed = report(capsys)
    assert problems == 1
    assert f"ok      MNIST: {path}\n" in printed  # it is there, as far as can be told without TensorFlow
    cure = "name another file in MNIST_NPZ, or move this one away"
    assert f"PROBLEM MNIST: helpers.data.MnistError: cannot be read\n        -> {cure}" in printed


def test_mnist_as_it_should_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "mnist.npz"
    path.touch()
    monkeypatch.setenv("MNIST_NPZ", str(path))
    problems, printed = report(capsys)
    assert problems == 0
    assert "ok      MNIST: each array has the digest expected\n" in printed


def test_a_gpu_that_tensorflow_does_not_see(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(doctor.shutil, "which", {"nvidia-smi": "/usr/bin/nvidia-smi"}.get)
    assert "note    a GPU that TensorFlow does not see" in report(capsys)[1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # hidden on purpose
    assert "a GPU that" not in report(capsys)[1]


def test_tensorflow_comes_last(machine: Callable, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """What can be known without it has been printed before it is imported for the first time."""
    seen = []
    run = doctor._run
    monkeypatch.setattr(doctor, "_run", lambda code: (seen.append((code, capsys.readouterr().out)), run(code))[1])
    doctor.examine()
    printed = "".join(out for _, out in seen[: 1 + [code for code, _ in seen].index("import tensorflow")])
    assert all(found in printed for found in ("Python 3", *doctor.LIGHT, "digits", "MNIST"))


# What lies around a chapter


def test_other_helpers_that_a_chapter_would_find(machine: Callable, tmp_path: Path, capsys) -> None:
    machine("find_spec('helpers')", str(tmp_path / "helpers.py"), works=True)
    problems, printed = report(capsys)
    assert problems == 1
    assert f"PROBLEM {tmp_path}/helpers.py hides the book's helpers from a chapter\n        -> move it" in printed
    machine("find_spec('helpers')", "None", works=True)
    problems, printed = report(capsys)
    assert problems == 1
    assert f"PROBLEM no helpers for a chapter in {ROOT}/notebooks\n        -> `make book`" in printed
    machine("find_spec('helpers')", str(ROOT / "helpers/__init__.py"), works=True)
    assert report(capsys)[0] == 0


def test_a_path_that_is_relative_is_that_of_a_chapter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    (tmp_path / "mnist.npz").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_NPZ", "mnist.npz")
    problems, printed = report(capsys)
    assert problems == 1
    cure = f"a chapter looks in its own folder: set MNIST_NPZ to {tmp_path}/mnist.npz"
    assert f"PROBLEM MNIST: {ROOT}/notebooks/mnist.npz\n        -> {cure}\n" in printed
    monkeypatch.setenv("MNIST_NPZ", printed.partition("set MNIST_NPZ to ")[2].splitlines()[0])
    assert report(capsys)[0] == 0


def test_a_setting_of_keras_is_no_reason_to_install_it_again(
    machine: Callable, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(doctor.surroundings, "find_faults", lambda: ["KERAS_BACKEND is 'jax'"])
    machine("import keras")
    assert "reinstall" not in report(capsys)[1]


# Processes as they are


def examine_for_real(folder: Path, **changes: str) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = quick_environment(PYTHONPATH=path, KERAS_HOME=str(folder / "keras"), **changes)
    command = [sys.executable, "-m", "helpers.book.doctor"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8")


def test_this_machine_passes_without_a_network_and_prints_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK, encoding="utf-8")
    done = examine_for_real(tmp_path, MNIST_NPZ="")
    assert (done.returncode, done.stderr) == (0, "")
    # Newer packages than the pinned ones, as in the weekly run, are notes.
    printed = re.sub(r"note +(.+, wanted .+)\n +-> .+\n", r"ok      \1\n", done.stdout)
    found = re.compile(r"(?m)^(ok +(?:Python|packages in|[\w-]+(?=.*, wanted))) \S+")  # what is this machine's own
    shown, printed = (found.sub(r"\1 #", text).rpartition("ok ")[0] for text in (SHOWN, printed))
    assert printed == shown
    assert re.search(r"\nok      profile: quick · seed: 0 · device: CPU\n0 to mend, \d to know\n$", done.stdout)


def test_it_names_what_lies_around_a_chapter(tmp_path: Path) -> None:
    """All at once, because TensorFlow takes its time: and whoever follows the advice of each line has none left."""
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers/__init__.py").touch()
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras/keras.json").write_text('{"image_data_format": "channels_first"}', encoding="utf-8")
    closed = {"HOME": "/proc/nohome", "MPLCONFIGDIR": "/proc/nohome/m", "TMPDIR": "/proc/nohome/t"}
    done = examine_for_real(tmp_path, **closed, PYTHONIOENCODING="cp932", KERAS_BACKEND="jax", MNIST_NPZ="mnist.npz")
    assert (done.returncode, done.stderr) == (1, "")
    for line in (
        rf"PROBLEM {tmp_path}/helpers/__init__.py hides the book's helpers from a chapter\n +-> move it, or take its",
        r"note +/proc/nohome/m cannot be written: .*\n +-> set HOME, or KERAS_HOME and MPLCONFIGDIR, to a folder that",
        r"note +TMPDIR is /proc/nohome/t, which cannot be written: /\S+ is taken\n +-> set TMPDIR to a folder that",
        r"note +the console takes cp932: .*\n +-> set PYTHONUTF8 to 1, and unset PYTHONIOENCODING",
        r"PROBLEM MNIST: .*/notebooks/mnist.npz\n +-> there is no such file",
        r"ok +keras .*",
    ):
        assert re.search(rf"(?m)^{line}", done.stdout), line


def test_the_page_shows_the_versions_that_the_book_is_made_with() -> None:
    pins = dict(re.findall(r"(?m)^([\w-]+)==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8")))
    pinned = {name: pins[name] for name in (doctor.LIGHT | doctor.HEAVY)}
    lines = re.findall(r"ok +([\w-]+) (\S+), wanted ([\w-]+)==(\S+)", SHOWN)
    assert {name: found for name, found, _, _ in lines} == pinned
    assert {name: wanted for _, _, name, wanted in lines} == pinned


def test_broken_packages_do_not_stop_it(tmp_path: Path) -> None:
    for name in ("numpy", "tensorflow"):
        (tmp_path / name).mkdir()
    (tmp_path / "numpy/__init__.py").write_text("raise AttributeError('_ARRAY_API not found')", encoding="utf-8")
    (tmp_path / "tensorflow/__init__.py").write_text("import os; os.kill(os.getpid(), 4)", encoding="utf-8")
    done = examine_for_real(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"PROBLEM numpy .* cannot be imported: AttributeError: _ARRAY_API not found\n +-> ", done.stdout)
    assert re.search(r"PROBLEM tensorflow .*: stopped by signal 4; TensorFlow needs a processor with AVX", done.stdout)
    assert re.search(r"\n[5-9] to mend, \d to know\n$", done.stdout)


def test_a_wrong_mnist_file_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> None:
    path = tmp_path / "mnist.npz"
    np.savez(path, **{name: np.zeros(2, np.uint8) for name in data.MNIST_SHAPES})
    monkeypatch.setenv("MNIST_NPZ", str(path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stand_in = doctor._run
    monkeypatch.setattr(doctor, "_run", lambda code: (RUN if "read_mnist_file" in code else stand_in)(code))
    problems, printed = report(capsys)
    assert problems == 1
    assert f"PROBLEM MNIST: helpers.data.MnistError: {path}: x_train has shape (2,), expected" in printed


@pytest.mark.skipif(os.name == "nt", reason="the folder of commands has another name there")
def test_a_virtual_environment_has_activate_and_no_activate_sh(tmp_path: Path) -> None:
    """The page of the environment corrects § 5.1 of the article by this."""
    venv.create(tmp_path / "myenv", with_pip=False)
    commands = {path.name for path in (tmp_path / "myenv/bin").iterdir()}
    assert {"activate", "activate.csh", "activate.fish"} <= commands
    assert "activate.sh" not in commands
