"""A small book in a folder, with all that digests and the engine look at."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tools.notebook_files import write

FIRST = '''"""Text."""
import math
from typing import NamedTuple

from helpers import second
from helpers.third import deep as renamed

LIMIT = 3
UNUSED = 4
class Pair(NamedTuple):
    left: int
    right: int = 2


class Plain:
    size = 3


NAMES = {"pair": Pair, "plain": Plain}
NAMES["limit"] = LIMIT  # neither a definition nor an assignment to a name


def used(x: int = LIMIT) -> float:
    """Text."""
    local = renamed(x)
    if x > 10:
        raise ValueError(f"too large: {second.describe(x)}")
    return math.sqrt(local)


def unused():
    return second.other()
'''
SECOND = "def describe(x):\n    return str(x)\n\n\ndef other():\n    return 2\n"
THIRD = "DEPTH = 1\n\n\ndef deep(x):\n    return x + DEPTH\n"
WHOLE = "def one():\n    return 1\n\n\ndef two():\n    return load('toy.npz')\n"
STUDY = """import os

from helpers import first

SEEDS = 2
SELECTION = "validation"
RUNS = {"a": {"size": 1}, "b": {"size": 2, "seeds": 2}}


def measure(label, folder):
    (folder / f"{label}.png").write_bytes(b"a picture")
    return {f"loss/{label}": (RUNS[label]["size"] + first.used(1) + int(os.environ["BOOK_SEED"]), "nats")}
"""
OF_CELLS = """from tools.studies import run_cells

SEEDS = 2
SELECTION = "none"
CELLS = ("toy", "train")


def measure():
    return {"value": (run_cells(*CELLS)["train"](), "share")}
"""
SETUP = """import os
from types import SimpleNamespace
settings = SimpleNamespace(profile=os.environ.get("BOOK_PROFILE", "quick"))"""
CELLS = [
    (SETUP, {"setup": True}, {}),
    ("from helpers import first, plotting, whole\nfrom helpers.book.bands import Reference", {"imports": True}, {}),
    ("quick = settings.profile == 'quick'\nconfig = SimpleNamespace(base=10 if quick else 20)", {"config": True}, {}),
    ("reference = Reference('toy', 'quick')\nseed = int(os.environ.get('BOOK_SEED', 0))", {}, {}),
    ("def train():\n    first = config.base\n    return first", {}, {}),
    ("value = first.used(1)  # why", {}, {}),
    ("reference.verdict('test NLL', train() + seed, worse='either', unit='nats')", {}, {}),
    ("reference.check('outside', reference.excludes('test NLL', 1e9, worse='either'))", {}, {}),
    ("reference.check('large', config.base > 15)", {}, {}),
    (
        "import matplotlib.pyplot as plt\nplt.figure(figsize=(1, 1)).add_subplot()\nplt.show()",
        {"record_figure": True},
        {"figure": {"name": "fig-toy"}},
    ),
    ("print('exercise')", {"exercise": "toy-1"}, {}),
    ("raise FileNotFoundError", {"record": "small"}, {}),
]


@pytest.fixture
def make_book(tmp_path: Path) -> Callable[..., Path]:
    """Makes the book, with more cells at the end of its chapter, and returns its folder."""

    def make(*more: tuple[str, dict, dict]) -> Path:
        files = {
            "helpers/__init__.py": "",
            "helpers/first.py": FIRST,
            "helpers/second.py": SECOND,
            "helpers/third.py": THIRD,
            "helpers/whole.py": WHOLE,
            "helpers/checks.py": "def check_it(x):\n    return x\n",
            "helpers/training.py": "class Checkpoint:\n    every = 1\n",
            "helpers/plotting.py": "def draw():\n    return 1\n",
            "studies/small.py": STUDY,
            "studies/of_cells.py": OF_CELLS,
            "studies/shared.py": "def help_out():\n    return 1\n",
            "results/weights/toy.npz": "weights",
            "requirements.txt": "tensorflow==2.20.0\nkeras==3.13.2\npandas==2.2.3\nruff==0.1\n",
            "requirements-torch.txt": "torch==2.13.0\n",
            ".gitignore": "_build\n__pycache__\n",
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        cells = [new_code_cell(text, metadata={"book": book, "mystnb": about}) for text, book, about in (*CELLS, *more)]
        (tmp_path / "notebooks").mkdir()
        write(new_notebook(cells=cells), tmp_path / "notebooks" / "toy.ipynb")
        return tmp_path

    return make


def commit_all(folder: Path) -> str:
    """Commits all that is in a folder, and returns the commit."""
    author = ["-c", "user.name=book", "-c", "user.email=book@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "the book"]):
        subprocess.run(["git", "-C", folder, *author, *command], check=True)
    command = ["git", "-C", folder, "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
