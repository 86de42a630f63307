"""The same answers elsewhere: part of the suite with other threads, arithmetic, locales, homes, folders and Pythons.

The part holds verdicts against their bands, in a cheap chapter that a seed draws for each setting, and tests of the
helpers. It runs in copies of the book, which have no git history and no site.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.soaking import Soak
from tools.notebook_files import ROOT

CHEAP = ("code_gan", "code_vae", "evaluation")
PART = ("losses", "metrics", "networks", "scorecard", "runtime")
LEFT_OUT = (".git", ".venv*", "_build", "__pycache__", ".*_cache")
READ_ONLY = 'mount --bind "$PWD" "$PWD" && mount -o remount,bind,ro "$PWD" && cd "$PWD" && exec "$@"'
NOBODY = ("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups")  # no entry in passwd
PROBE = "import subprocess, sys, pytest, tensorflow; subprocess.run([sys.executable, '-c', ''], check=True)"
COMMA = ("de_", "es_", "fr_", "it_", "nl_", "pt_", "ru_", "uk_")  # where 1/2 is 0,5


class Setting(NamedTuple):
    """Another place: variables of the environment, None to unset one; what runs the command; and which Python."""

    changes: Mapping[str, str | None] = {}
    folder: str = "book"
    runner: tuple[str, ...] = ()
    python: str = sys.executable
    at_once: int = 1
    more: tuple[str, ...] = ()
    chapters: tuple[str, ...] = CHEAP


def find_locale() -> str | None:
    """A locale of this machine that writes a decimal comma."""
    try:
        known = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return None
    return next((name for name in known if name.startswith(COMMA)), None)


def find_other(name: str) -> str:
    """The Python of an environment that `make others` sets up."""
    return str(ROOT / ".venv-others" / name / "bin" / "python")


SETTINGS = {
    "HOME that cannot be written": Setting({"HOME": "/proc/nohome"}),
    "two threads": Setting({"BOOK_THREADS": "2"}),
    "one thread": Setting(),
    "oneDNN off": Setting({"TF_ENABLE_ONEDNN_OPTS": "0"}),
    "oneDNN at AVX2": Setting({"ONEDNN_MAX_CPU_ISA": "AVX2"}),
    "locale C": Setting({"LC_ALL": "C"}),
    "locale POSIX, without Python's own UTF-8": Setting({"LC_ALL": "POSIX", "PYTHONUTF8": "0"}),
    "a decimal comma": Setting({"LC_ALL": find_locale() or "none"}),
    "a day ahead": Setting({"TZ": "Pacific/Kiritimati"}),
    "read-only folder": Setting(runner=("unshare", "--mount", "sh", "-c", READ_ONLY, "sh")),
    "no HOME": Setting({"HOME": None}),
    "a user without a name, whose HOME is nowhere": Setting({"HOME": "/proc/nohome"}, runner=NOBODY),
    "twice at once": Setting(at_once=2),
    "a path with spaces and Chinese characters": Setting(folder="生成模型 the book"),
    "no browser": Setting({"PATH": str(Path(sys.executable).parent)}, more=("tests/book/test_page_checks.py",)),
    **{f"Python {version}": Setting(python=find_other(version)) for version in ("3.12", "3.13")},
    # These warn of what is for later, or was for now.
    "newest versions": Setting(python=find_other("newest"), more=("-W", "default")),
    # And code_gan shows mistakes in the words of the pinned Keras.
    "oldest versions": Setting(python=find_other("oldest"), more=("-W", "default"), chapters=CHEAP[1:]),
}
SHORT = ("HOME that cannot be written",)  # and `test_what_is_red_elsewhere_is_told` has another


def find_gap(setting: Setting) -> str:
    """What this machine lacks for a setting; nothing where it can be tried."""
    if setting.changes.get("LC_ALL") == "none":
        return "no such locale is installed"
    if not (setting.runner or setting.python != sys.executable):
        return ""
    try:
        done = subprocess.run(
            [*setting.runner, setting.python, "-c", PROBE], cwd=tempfile.gettempdir(), capture_output=True
        )
    except OSError as error:
        return f"{error.filename} is not here: `make others` sets up Pythons and versions"
    return f"{' '.join([*setting.runner[:1], setting.python])} cannot run the book here" if done.returncode else ""


@pytest.fixture
def copy_book() -> Iterator[Callable[[str], Path]]:
    """A function that gives a copy of the book in a folder of that name, which every user may read."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)

        def copy(name: str) -> Path:
            target = Path(place, name)
            if not target.exists():
                shutil.copytree(ROOT, target, symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
            return target

        yield copy


def try_part(name: str, folder: Path, part: tuple[str, ...]) -> str:
    """Run part of the suite in a setting; return what pytest said where it was red, else nothing."""
    setting = SETTINGS[name]
    changes = {"PYTHONPATH": str(folder), **setting.changes}
    environment = {key: value for key, value in {**os.environ, **changes}.items() if value is not None}
    command = [*setting.runner, setting.python, "-m", "pytest", "--quiet", *part]
    started = [
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(setting.at_once)
    ]
    said = [one.communicate()[0] for one in started]
    return "\n".join(text for one, text in zip(started, said, strict=True) if one.returncode)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each setting is a test of its own, which can be tried again alone: `make soak ONLY="elsewhere and oldest"`."""
    if "setting" in metafunc.fixturenames:
        metafunc.parametrize("setting", SETTINGS if metafunc.config.getoption("soak") else SHORT)


@pytest.mark.soak
def test_the_same_answers_elsewhere(setting: str, soak: Soak, copy_book: Callable[[str], Path]) -> None:
    if gap := find_gap(SETTINGS[setting]):
        pytest.skip(gap)
    chapter = random.Random(setting).choice(SETTINGS[setting].chapters)
    part = (f"notebooks/{chapter}.ipynb", *(f"tests/helpers/test_{one}.py" for one in PART), *SETTINGS[setting].more)
    said = try_part(setting, copy_book(SETTINGS[setting].folder), part if soak.long else part[1:2])
    assert not said, said
    soak.tell("the same answers elsewhere", within_the_bands=[setting])


def test_what_is_red_elsewhere_is_told(copy_book: Callable[[str], Path]) -> None:
    book = copy_book("book")
    (book / "test_wrong.py").write_text(
        "import os\n\n\ndef test_it():\n    assert os.environ['TZ'] == 'UTC'\n", "utf-8"
    )
    assert "assert 'Pacific/Kiritimati' == 'UTC'" in try_part("a day ahead", book, ("test_wrong.py",))
