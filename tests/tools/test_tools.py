"""The tools behind the Makefile: what they refuse and how they say it, and what they leave in files."""

import base64
import difflib
import io
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from tools import execute, set_repository
from tools.environment import quick_environment
from tools.notebook_files import ROOT, SETUP_TITLE, chapters, read, setup_source, setup_values, text_of, write

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

# Bootstrap: with stand-ins for Python, on a PATH that holds nothing else.

STAND_IN = """#!/bin/sh
case "$*" in
*version_info*) echo {version} ;;
*"import venv, ensurepip"*) exit {venv_missing} ;;
"-m venv --clear"*) rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && echo "made $4" >> {log} ;;
*"pip install"*) shift 5; echo "installed $*" >> {log}; cat {pip_said} >&2; exit $(cat {pip_status}) ;;
esac
"""


# What pip is asked for, without its first five words: the lock by hashes, then the book as it stands.
BOTH = "installed --require-hashes --requirement requirements-lock.txt\n"
BOTH += "installed --no-deps --no-build-isolation --editable .\n"


class Machine:
    """A machine with the book's Makefile, pins, and just the Pythons that a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.book, self.path = folder / "book", folder / "path"
        self.log, self.pip_status, self.pip_said = folder / "log", folder / "pip_status", folder / "pip_said"
        self.path.mkdir()
        self.log.touch()
        self.set_pip(0)
        for command in ("make", "sh", "rm", "mkdir", "cp", "cat", "touch"):
            (self.path / command).symlink_to(shutil.which(command))
        (self.book / "tools").mkdir(parents=True)
        pins = ("requirements-lock.txt", "requirements-torch.txt", "pyproject.toml")
        for name in ("Makefile", *pins, "tools/bootstrap.sh"):
            shutil.copy(ROOT / name, self.book / name)

    def add_python(self, name: str, version: str, venv_missing: int = 0) -> Path:
        python = self.path / name
        files = {"log": self.log, "pip_status": self.pip_status, "pip_said": self.pip_said}
        python.write_text(STAND_IN.format(version=version, venv_missing=venv_missing, **files), encoding="utf-8")
        python.chmod(0o755)
        return python

    def set_pip(self, status: int, said: str = "") -> None:
        """How pip ends from now on, and what it writes to its error stream."""
        self.pip_status.write_text(str(status), encoding="utf-8")
        self.pip_said.write_text(said, encoding="utf-8")

    def make(self, *arguments: str, target: str = ".venv/.installed") -> subprocess.CompletedProcess:
        return self._run("make", target, *arguments)

    def bootstrap(self, **environment: str) -> subprocess.CompletedProcess:
        return self._run("sh", "tools/bootstrap.sh", ".venv", "requirements-lock.txt", ".", **environment)

    def _run(self, *command: str, **environment: str) -> subprocess.CompletedProcess:
        environment = {"PATH": str(self.path), **environment}
        return subprocess.run(command, cwd=self.book, env=environment, capture_output=True, encoding="utf-8")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("pythons", "environment", "reason"),
    [
        ([], {}, "none was found on PATH"),
        ([("python3", "3.9")], {}, "python3 is Python 3.9"),
        ([("python3", "3.14")], {}, "python3 is Python 3.14"),
        ([("python3", "3.9"), ("python3.13", "3.13", 1)], {}, "python3 is Python 3.9"),
        (
            [("python3", "3.12", 1)],
            {},
            "python3 (3.12) has no venv module (on Debian and Ubuntu: apt install python3.12-venv)",
        ),
        ([("python3", "3.12"), ("mine", "3.8")], {"PYTHON": "mine"}, "mine is Python 3.8"),
        ([("python3", "3.12")], {"PYTHON": "mine"}, "mine does not run"),
    ],
)
def test_without_a_suitable_python_there_is_one_plain_sentence(
    machine: Machine, pythons: list, environment: dict[str, str], reason: str
) -> None:
    for python in pythons:
        machine.add_python(*python)
    ended = machine.bootstrap(**environment)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        f"The book needs Python 3.11, 3.12 or 3.13 with its venv module, but {reason}; "
        "name another with PYTHON=/path/to/python3.\n"
    )
    assert not (machine.book / ".venv").exists()


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ([("python3", "3.11"), ("python3.13", "3.13")], "python3"),
        ([("python3", "3.9"), ("python3.12", "3.12"), ("python3.11", "3.11")], "python3.12"),
        ([("python3", "3.12", 1), ("python3.11", "3.11")], "python3.11"),
    ],
)
def test_the_first_suitable_python_is_used(machine: Machine, pythons: list, chosen: str) -> None:
    for python in pythons:
        machine.add_python(*python)
    (machine.path / chosen).write_text((machine.path / chosen).read_text().replace("made $4", f"made by {chosen}"))
    assert machine.make().returncode == 0
    assert machine.log.read_text() == f"made by {chosen}\n{BOTH}"


@pytest.mark.parametrize("name", ["other", "an other", "$HOME & 'another'"])
def test_a_python_named_to_make_is_used(machine: Machine, name: str) -> None:
    """In macOS uv keeps them in a folder `Application Support`."""
    machine.add_python("python3", "3.9")
    ended = machine.bootstrap(PYTHON=str(machine.add_python(name, "3.13")))
    assert ended.returncode == 0, ended.stderr


def test_a_python_that_make_is_told_may_have_a_space(machine: Machine) -> None:
    machine.add_python("python3", "3.9")
    ended = machine.make(f"PYTHON={machine.add_python('an other', '3.13')}")
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [("/a b/mnist.npz", "/a b/mnist.npz"), ("d/mnist.npz", "{here}/d/mnist.npz"), ("a b/m.npz", "{here}/a b/m.npz")],
)
def test_a_path_of_mnist_is_whole_for_a_kernel(machine: Machine, given: str, told: str) -> None:
    machine.add_python("python3", "3.13")
    machine.make()
    jupyter = machine.book / ".venv/bin/jupyter"
    jupyter.write_text('#!/bin/sh\necho "$MNIST_NPZ"\n', encoding="utf-8")
    jupyter.chmod(0o755)
    (machine.book / ".venv/.torch").touch()
    for ended in (machine.make(f"MNIST_NPZ={given}", target="lab"), machine._run("make", "lab", MNIST_NPZ=given)):
        assert ended.stdout.splitlines()[-1] == told.format(here=machine.book)


def test_a_second_run_installs_nothing(machine: Machine) -> None:
    machine.add_python("python3", "3.12")
    machine.make()
    first = machine.log.read_text()
    assert machine.make().returncode == 0
    assert machine.log.read_text() == first == f"made .venv\n{BOTH}"


@pytest.mark.parametrize("pins", ["requirements-lock.txt", "pyproject.toml"])
def test_changed_pins_are_installed_into_what_is_there(machine: Machine, pins: str) -> None:
    machine.add_python("python3", "3.12")
    machine.make()
    later = (machine.book / ".venv/.installed").stat().st_mtime + 1
    os.utime(machine.book / pins, (later, later))
    machine.make()
    assert machine.log.read_text() == f"made .venv\n{BOTH}{BOTH}"


def test_an_installation_that_failed_is_made_anew(machine: Machine) -> None:
    machine.add_python("python3", "3.12")
    machine.set_pip(1)
    ended = machine.bootstrap()
    assert ended.returncode == 1
    assert "could not be installed into .venv" in ended.stderr
    assert not (machine.book / ".venv/.installed").exists()
    assert machine.log.read_text() == f"made .venv\n{BOTH.splitlines()[0]}\n"  # nothing after what failed
    machine.set_pip(0)
    machine.log.write_text("", encoding="utf-8")
    assert machine.make().returncode == 0
    assert machine.log.read_text() == f"made .venv\n{BOTH}"


def test_what_is_no_lock_is_installed_without_the_book(machine: Machine) -> None:
    machine.add_python("python3", "3.12")
    (machine.book / "tools/colab_image.txt").touch()
    assert machine.make(target=".venv-colab/.installed").returncode == 0
    assert machine.log.read_text() == "made .venv-colab\ninstalled --requirement tools/colab_image.txt\n"


# PyTorch, an extra: where it cannot be had the gate goes on, in one sentence.

NO_TORCH = "No CPU build of PyTorch from this package index: the tests of its chapter will skip.\n"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("ERROR: No matching distribution found for torch==2.13.0+cpu\n", ""),
        ("ERROR: No space left on device\n", "ERROR: No space left on device\n"),
    ],
    ids=["no such build", "another failure"],
)
def test_without_pytorch_there_is_one_plain_sentence(machine: Machine, said: str, shown: str) -> None:
    machine.add_python("python3", "3.12")
    machine.make()
    machine.set_pip(1, said)
    ended = machine.make(target=".venv/.torch")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, NO_TORCH, shown)
    machine.set_pip(0)
    assert machine.make(target=".venv/.torch").stdout == ""
    assert (machine.book / ".venv" / ".torch").exists()


# The Makefile


def test_help_lists_every_target() -> None:
    targets = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout
    assert {line.split()[1] for line in shown.splitlines()} == targets


def test_every_module_that_a_target_runs_is_there() -> None:
    modules = re.findall(r"python -m ((?:helpers|studies|tools)\.[\w.]+)", MAKEFILE)
    assert modules
    assert [module for module in modules if not (ROOT / f"{module.replace('.', '/')}.py").is_file()] == []


# Setting the repository's address


@pytest.mark.parametrize("url", [f"https://github.com/an-owner/a.book_1{end}" for end in ("", "/", ".git", ".git/")])
def test_an_address_is_normalised(url: str) -> None:
    assert set_repository.normalised(url) == "https://github.com/an-owner/a.book_1"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://github.com/owner/name",
        "git@github.com:owner/name.git",
        "https://github.com/owner",
        "https://github.com/owner/name/tree/main",
        "https://github.com/owner/..",
        "https://gitlab.com/owner/name",
        "https://github.com/owner/name?tab=readme",
        'https://github.com/owner/na"me',
        "https://github.com/owner/name\n",
    ],
)
def test_another_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected https://github\.com/OWNER/NAME"):
        set_repository.normalised(url)


@pytest.mark.parametrize("branch", ["", "-f", "two words", 'ma"in', "main\n"])
def test_a_branch_that_cannot_be_one_is_refused(branch: str) -> None:
    with pytest.raises(ValueError, match="BRANCH is"):
        set_repository.checked_branch(branch)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of two chapters that have no address yet."""
    for name in ("one", "two"):
        setup = new_code_cell(setup_source("", "main"), metadata={"book": {"setup": True}})
        write(new_notebook(cells=[setup, new_code_cell("print('né')")]), tmp_path / f"{name}.ipynb")
    (tmp_path / "_config.yml").write_text('# Why.\nrepository:\n  url: ""\n  branch: main\n\nhtml: {}  # kept\n')
    return tmp_path


def test_an_address_is_written_everywhere_and_nothing_else_changes(book: Path) -> None:
    before = {path: path.read_text(encoding="utf-8") for path in book.iterdir()}
    address = ("https://github.com/owner/name", "next")
    changed = set_repository.set_repository(*address, notebooks=book, config=book / "_config.yml")
    assert set(changed) == set(before)
    for name in ("one", "two"):
        path = book / f"{name}.ipynb"
        assert setup_values(read(path).cells[0].source) == address
        new, old = (text.splitlines() for text in (path.read_text(encoding="utf-8"), before[path]))
        changed_lines = [line for line in difflib.ndiff(old, new) if line[0] in "+-"]
        assert len(changed_lines) == 3  # one that holds both values, or an address and a branch
    config = (book / "_config.yml").read_text()
    assert config == '# Why.\nrepository:\n  url: "https://github.com/owner/name"\n  branch: next\n\nhtml: {}  # kept\n'
    assert set_repository.set_repository(*address, notebooks=book, config=book / "_config.yml") == []


def test_the_setup_cell_passes_the_linter_with_a_long_address(tmp_path: Path) -> None:
    """What a fork commits after `make set-repository` must pass its own `make lint`."""
    address = f"https://github.com/{'long-owner-' * 3}x/{'long-name-' * 4}x"
    setup = new_code_cell(SETUP_TITLE + setup_source(address, "main"))
    write(new_notebook(cells=[setup], metadata={"language_info": {"name": "python"}}), tmp_path / "one.ipynb")
    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", ROOT / "notebooks" / "ruff.toml", "one.ipynb"]
        done = subprocess.run(ruff, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://github.com/An-Owner/a.book.git", "https://an-owner.github.io/a.book/"),
        ("https://github.com/owner/owner.github.io", "https://owner.github.io/"),
    ],
)
def test_where_a_site_is_published_follows_from_its_repository(url: str, site: str, monkeypatch) -> None:
    monkeypatch.delenv("BOOK_SITE", raising=False)
    assert set_repository.pages_of(url) == site
    monkeypatch.setenv("BOOK_SITE", "https://book.example.org")
    assert set_repository.pages_of(url) == "https://book.example.org/"


def test_one_wrong_chapter_and_nothing_is_written(book: Path) -> None:
    write(new_notebook(cells=[new_code_cell("import helpers")]), book / "two.ipynb")
    before = {path: path.read_bytes() for path in book.iterdir()}
    with pytest.raises(ValueError, match=r"two\.ipynb does not have the setup cell"):
        set_repository.set_repository(
            "https://github.com/owner/name", "main", notebooks=book, config=book / "_config.yml"
        )
    assert {path: path.read_bytes() for path in book.iterdir()} == before


def test_the_site_configuration_of_this_book_can_be_set() -> None:
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    changed = set_repository.config_with(text, "https://github.com/owner/name", "next")
    assert set_repository.config_values(changed) == ("https://github.com/owner/name", "next")
    assert set_repository.config_with(changed, *set_repository.config_values(text)) == text


def test_a_configuration_without_repository_is_refused() -> None:
    with pytest.raises(ValueError, match="no block `repository:`"):
        set_repository.config_values("title: A book\n")


# Executing chapters


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> list:
    """Two runs of a small chapter with a figure and a shown failure, each cleaned.

    The machine offers another kernel called python3, which does not even start.
    """
    figure = {"mystnb": {"figure": {"name": "fig-x"}}, "book": {"alt_from": "f'{n} lines'"}, "collapsed": True}
    drawing = "import matplotlib.pyplot as plt\nfrom helpers import plotting\nplotting.use_book_style()\n"
    cells = [
        new_code_cell("import os, sys\nn = 3\nprint(sys.executable, os.environ['BOOK_SEED'], os.getcwd())"),
        new_code_cell(drawing + "plt.figure(figsize=(1, 1)).add_subplot();", metadata=figure),
        new_code_cell("import json\njson.loads('{')", metadata={"tags": ["raises-exception"]}),
        new_code_cell("print('a', end='')\nprint('b')\nn"),
    ]
    path = tmp_path_factory.mktemp("chapter") / "small.ipynb"
    write(new_notebook(cells=cells, metadata={"widgets": {}}), path)
    other = tmp_path_factory.mktemp("jupyter") / "kernels" / "python3" / "kernel.json"
    other.parent.mkdir(parents=True)
    other.write_text('{"argv": ["false"], "display_name": "Another Python", "language": "python"}', encoding="utf-8")
    with pytest.MonkeyPatch.context() as shell:
        shell.setenv("JUPYTER_PATH", str(other.parent.parent.parent))
        runs = [execute.run_notebook(path, quick_environment(BOOK_SEED="7")) for _ in range(2)]
    return [execute.clean(run, "digest") for run in runs]


def test_a_run_is_stored_the_same_each_time(executed: list) -> None:
    first, second = (deepcopy(notebook) for notebook in executed)
    for notebook in (first, second):
        for measured in ("seconds", "cpu_seconds", "peak_memory_mb"):
            del notebook.metadata.book[measured]
    assert text_of(first) == text_of(second)


def test_a_run_uses_this_interpreter_seed_and_the_chapters_folder(executed: list) -> None:
    python, seed, folder = executed[0].cells[0].outputs[0].text.split()
    assert (python, seed, Path(folder).name[:7]) == (sys.executable, "7", "chapter")


def test_a_run_is_stored_without_traces(executed: list) -> None:
    notebook = executed[0]
    assert set(notebook.metadata) == {"kernelspec", "language_info", "book"}
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3, 4]
    assert set(notebook.cells[1].metadata) == {"mystnb", "book"}
    assert notebook.cells[1].metadata.mystnb["image"]["alt"] == "3 lines"
    assert notebook.cells[2].outputs[0].ename == "JSONDecodeError"
    assert [output.get("text") for output in notebook.cells[3].outputs] == ["ab\n", None]


def test_a_figure_has_twice_the_pixels_of_its_width_and_no_height(executed: list) -> None:
    figure = executed[0].cells[1].outputs[-1]
    pixels = int.from_bytes(base64.b64decode(figure.data["image/png"])[16:20], "big")
    assert figure.metadata == {"image/png": {"width": pixels // 2}}
    assert figure.data["text/plain"] == "<Figure size 110x110 with 1 Axes>"


def test_a_shown_failure_keeps_the_chapters_own_frame_and_the_message(executed: list) -> None:
    error = executed[0].cells[2].outputs[0]
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
    assert "json.loads('{')" in text
    assert text.endswith(f"JSONDecodeError: {error.evalue}")
    assert "json/__init__.py" not in text
    assert len(error.traceback) == 4  # a line, the heading, the cell's frame, the message


def test_a_run_measures_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "hungry.ipynb"
    write(
        new_notebook(cells=[new_code_cell("import time\nx = b'x' * 300_000_000\ntime.sleep(0.5)")]),
        path,
    )
    run = execute.run_notebook(path, quick_environment())
    assert run.seconds > 0.5
    assert 300 < run.peak_memory_mb < 2000


def test_a_chapter_that_fails_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "failing.ipynb"
    write(new_notebook(cells=[new_code_cell("print(1)"), new_code_cell("raise KeyError('why')")]), path)
    before = path.read_bytes()
    monkeypatch.setattr(execute, "chapters", lambda names: [path])
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    monkeypatch.setattr(execute, "Code", lambda root: SimpleNamespace(digest_chapter=lambda name, kind: "digest"))
    assert execute.main([]) == 1
    assert "failing.ipynb failed and is left as it was." in capsys.readouterr().err
    assert path.read_bytes() == before
    with pytest.raises(CellExecutionError, match="why"):
        execute.run_notebook(path, quick_environment())


def test_an_unknown_chapter_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no chapter is called nothing; there are"):
        chapters(["nothing"])


def test_a_picture_loses_its_text_and_keeps_the_rest() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    signature, image, end = b"\x89PNG\r\n\x1a\n", chunk(b"IDAT", b"pixels"), chunk(b"IEND", b"")
    picture = signature + chunk(b"tEXt", b"Software\0matplotlib 3.10") + image + end
    assert execute.without_text_chunks(picture) == signature + image + end


def as_png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_picture_is_stored_in_few_colours_and_looks_the_same() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (300, 4), np.uint8)
    colours[:, 3] = 255
    drawn = np.repeat(colours[np.arange(300) % 20], 40, axis=0).reshape(100, 120, 4)  # twenty colours
    drawn[:5, :60] = colours[:, None, :].reshape(5, 60, 4)  # and three hundred at the rim
    small = execute.in_few_colours(as_png(drawn))
    assert len(small) < 0.7 * len(as_png(drawn))
    off = np.abs(np.asarray(Image.open(io.BytesIO(small)).convert("RGBA"), int) - drawn)
    assert off.mean() < 0.2
    assert execute.in_few_colours(small) == small


def test_a_translucent_picture_keeps_what_shines_through() -> None:
    translucent = as_png(np.full((4, 4, 4), 128, np.uint8))
    assert execute.in_few_colours(translucent) == translucent


def test_settings_of_the_shell_do_not_reach_a_chapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("BOOK_PROFILE", "full")
    monkeypatch.setenv("BOOK_REPOSITORY", "https://github.com/owner/name")
    environment = quick_environment(BOOK_SEED="3")
    assert (environment["BOOK_PROFILE"], environment["BOOK_SEED"]) == ("quick", "3")
    assert not {"MPLBACKEND", "BOOK_REPOSITORY"} & environment.keys()
