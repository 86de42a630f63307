"""Digests: what they notice, and what they do not, in a small book and in this one."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import digest
from tools.digest import Code, DigestError, list_digests
from tools.notebook_files import ROOT, book_metadata, code_cells, only_draws, read

CHAPTER = {"outputs toy", "quick toy", "full toy"}
STUDY, OF_CELLS = "study small", "study of_cells"
ALL = {*CHAPTER, STUDY, OF_CELLS}


KNOWN: dict[Path, dict[str, str]] = {}  # the digests of a tree, as long as nothing but change() edits it


def change(root: Path, file: str, old: str, new: str) -> set[str]:
    """Which digests differ after an edit of a file."""
    before, text = KNOWN.pop(root, None) or list_digests(root), (root / file).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} holds {old!r} {text.count(old)} times"
    (root / file).write_text(text.replace(old, new), encoding="utf-8")
    after = KNOWN[root] = list_digests(root)
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


FIRST, NOTEBOOK = "helpers/first.py", "notebooks/toy.ipynb"
HANDS_ON = """def sum(self, *given, **options) -> int:
        'Look first.'
        self._check_sum(*given)
        return super().sum(*given, **options)"""


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (FIRST, '"""Text."""\nimport', '"""Other text."""\nimport'),
        (FIRST, "x > 10:", "x > 10:  # why"),
        (FIRST, "x: int = LIMIT", "x = LIMIT"),
        (FIRST, "-> float:", "-> list[second.Unknown]:"),
        (FIRST, "LIMIT = 3", "LIMIT: int = 3"),
        (FIRST, "import math\n", "from typing import TYPE_CHECKING\nimport math\nif TYPE_CHECKING:\n    import os\n"),
        (FIRST, "too large: {second.describe(x)}", "{second.other()} is too large"),
        (FIRST, "size = 3", "size: int = 3\n    scale: float"),
        (FIRST, "left: int", "left: float"),
        (FIRST, "UNUSED = 4", "UNUSED = 5"),
        (FIRST, "local = renamed(x)", "second.check_size(x)\n    self._check_size(x)\n    local = renamed(x)"),  # doors
        (FIRST, "size = 3", "size = 3\n\n    def _check_size(self):\n        return 1"),
        (FIRST, "size = 3", f"size = 3\n\n    {HANDS_ON}"),
        (FIRST, "return second.other()", "return second.describe(1)"),
        ("helpers/second.py", "return str(x)", "return repr(x)"),  # named by a message only
        ("helpers/third.py", "DEPTH = 1", "DEPTH = 1\nWIDTH = 2"),
        ("helpers/whole.py", "return 1", "return 2"),
        ("studies/shared.py", "return 1", "return 2"),
        (NOTEBOOK, "# why", "# because"),
        (NOTEBOOK, "10 if quick else 20", "5 * 2 if quick else 4 * 5"),
        ("requirements.txt", "ruff==0.1", "ruff==0.2"),
        ("results/weights/toy.npz", "weights", "other"),
    ],
)
def test_what_measures_nothing_is_not_noticed(make_book: Callable, file: str, old: str, new: str) -> None:
    assert change(make_book(), file, old, new) == set()


REACHED = {*CHAPTER, STUDY}


@pytest.mark.parametrize(
    ("file", "old", "new", "noticed"),
    [
        (FIRST, "math.sqrt", "math.cbrt", REACHED),
        (FIRST, "import math\n", "import cmath as math\n", REACHED),
        (FIRST, "LIMIT = 3", "LIMIT = 4", REACHED),  # a default, and what the module does besides
        (FIRST, 'NAMES["limit"]', 'NAMES["most"]', REACHED),
        (FIRST, "deep as renamed", "shallow as renamed", REACHED),
        (FIRST, "raise ValueError", "raise TypeError", REACHED),
        (FIRST, "left: int", "left: int\n    middle: int", REACHED),
        (FIRST, "right: int = 2", "right: int = 3", REACHED),
        (FIRST, "size = 3", "size = 4", REACHED),
        (FIRST, "size = 3", f"size = 3\n\n    {HANDS_ON.replace('super().sum', 'super().mean')}", REACHED),
        (FIRST, "size = 3", f"size = 3\n\n    {HANDS_ON.replace('(*given, **options)', '(*given)')}", REACHED),
        (FIRST, "size = 3", "size = 3\n\n    def measure_size(self):\n        return 1", REACHED),
        (FIRST, "math.sqrt(local)", "math.sqrt(check_it(local))", REACHED),
        ("helpers/third.py", "DEPTH = 1", "DEPTH = 2", REACHED),
        ("helpers/third.py", "x + DEPTH", "x - DEPTH", REACHED),
        ("requirements.txt", "tensorflow==2.20.0", "tensorflow==2.21.0", ALL),
        (NOTEBOOK, "base=10", "base=11", {"outputs toy", "quick toy", OF_CELLS}),
        (NOTEBOOK, "else 20", "else 21", {"full toy"}),
        (NOTEBOOK, "first.used(1)", "first.used(2)", CHAPTER),
        (NOTEBOOK, "first = config.base", "first = config.base + 1", {*CHAPTER, OF_CELLS}),
        (NOTEBOOK, "print('exercise')", "print('another')", {"outputs toy"}),
        ("studies/small.py", '"size": 1', '"size": 3', {STUDY}),
        ("studies/small.py", "first.used(1)", "first.used(2)", {STUDY}),
        ("studies/small.py", "SEEDS = 2", "SEEDS = 3", {STUDY}),
        ("studies/small.py", '"seeds": 2', '"seeds": 3', {STUDY}),
        ("studies/of_cells.py", '"train")', '"value")', {OF_CELLS}),
    ],
)
def test_what_measures_is_noticed_where_it_is_reached(
    make_book: Callable, file: str, old: str, new: str, noticed: set[str]
) -> None:
    assert change(make_book(), file, old, new) == noticed


@pytest.mark.parametrize(
    ("cell", "file", "old", "new", "noticed"),
    [
        ("from helpers import checks\nx = checks.check_it(1)", "helpers/checks.py", "return x", "return x or 1", set()),
        ("from helpers import training\ntraining.Checkpoint()", "helpers/training.py", "every = 1", "every = 2", set()),
        ("getattr(whole, 'one')()", "helpers/whole.py", "return 1", "return 2", CHAPTER),
        ("whole.two()", "results/weights/toy.npz", "weights", "other", CHAPTER),
        ("whole.one()", "results/weights/toy.npz", "weights", "other", set()),
        ("plotting.draw()", "helpers/plotting.py", "return 1", "return 2", {"outputs toy"}),
        ("import torch\ntorch.zeros(1)", "requirements-torch.txt", "2.13.0", "2.14.0", CHAPTER),
        ("import pandas as pd\npd.DataFrame()", "requirements.txt", "pandas==2", "pandas==3", CHAPTER),
        ("whole.one()", "requirements.txt", "pandas==2", "pandas==3", set()),
        ("def other(whole):\n    return whole.two()", "helpers/whole.py", "load(", "read(", set()),
        ("import helpers.whole\nhelpers.whole.two()", "helpers/whole.py", "load(", "read(", CHAPTER),
        ("class Mine(whole.two):\n    pass", "helpers/whole.py", "load(", "read(", CHAPTER),
        ("[whole.two() for _ in range(3)]", "helpers/whole.py", "load(", "read(", CHAPTER),
    ],
)
def test_what_a_cell_reaches(make_book: Callable, cell: str, file: str, old: str, new: str, noticed: set[str]) -> None:
    assert change(make_book((cell, {}, {})), file, old, new) == noticed


def test_a_run_depends_on_the_settings_of_its_label_alone(make_book: Callable) -> None:
    root = make_book()
    before = {label: Code(root).digest_run("small", label) for label in ("a", "b")}
    change(root, "studies/small.py", '"size": 1', '"size": 3')
    change(root, "studies/small.py", '"seeds": 2', '"seeds": 7')
    after = {label: Code(root).digest_run("small", label) for label in ("a", "b")}
    assert (after["a"] == before["a"], after["b"] == before["b"]) == (False, True)


def test_a_study_does_not_depend_on_the_weights_that_it_makes(make_book: Callable) -> None:
    root, weights = make_book(), ("results/weights/toy.npz", "weights", "other")
    change(root, "studies/small.py", "first.used(1)", "first.used('toy.npz')")
    assert change(root, *weights) == {STUDY}
    change(root, "studies/small.py", "SEEDS = 2", "WEIGHTS = ('toy.npz',)\nSEEDS = 2")
    assert change(root, weights[0], "other", "newer") == set()


def test_outputs_depend_on_the_records_that_are_shown(make_book: Callable) -> None:
    root = make_book()
    before = list_digests(root)
    (root / "results" / "full").mkdir()
    (root / "results" / "full" / "small.json").write_text("{}", encoding="utf-8")
    assert {name for name, found in list_digests(root).items() if found != before[name]} == {"outputs toy"}


@pytest.mark.parametrize("config", ["config = SimpleNamespace(base=data.load())", "config = open('nowhere')"])
def test_a_config_that_needs_more_than_plain_python_is_refused(make_book: Callable, config: str) -> None:
    root = make_book()
    path = root / NOTEBOOK
    path.write_text(
        path.read_text("utf-8").replace("config = SimpleNamespace(base=10 if quick else 20)", config), "utf-8"
    )
    with pytest.raises(DigestError, match=r"toy.ipynb: the config cell cannot be evaluated .* expected nothing but"):
        list_digests(root)


def test_a_function_in_the_config_counts_by_its_code(make_book: Callable) -> None:
    root, old = make_book(), "base=10 if quick else 20"
    change(root, NOTEBOOK, old, "base=10, scale=lambda x: x + 1")
    assert change(root, NOTEBOOK, "x + 1", "x + 2") == {*CHAPTER, OF_CELLS}


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("SEEDS = 2\n", "", "SEEDS"),
        ('SELECTION = "validation"\n', "", "SELECTION"),
        ("RUNS = {", "RUNS = dict() | {", "RUNS"),
        ("SEEDS = 2", "THREADS = '2'\nSEEDS = 2", "THREADS"),
    ],
)
def test_a_study_says_what_it_must_in_literals(make_book: Callable, old: str, new: str, name: str) -> None:
    root = make_book()
    path = root / "studies" / "small.py"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(DigestError, match=f"small.py: expected {name} = a literal"):
        Code(root).settings("small")


def test_a_study_without_measure_or_cells_is_refused(make_book: Callable) -> None:
    root = make_book()
    path = root / "studies" / "small.py"
    path.write_text(path.read_text(encoding="utf-8").replace("def measure", "def measured"), encoding="utf-8")
    with pytest.raises(DigestError, match="expected a function `measure`"):
        list_digests(root)
    with pytest.raises(DigestError, match="toy: no cell defines trane"):
        Code(root).cells_until("toy", "trane")


def test_cells_are_taken_to_the_one_that_defines_a_name(make_book: Callable) -> None:
    assert len(Code(make_book()).cells_until("toy", "train")) == 5


def test_other_versions_than_pinned_are_found(make_book: Callable) -> None:
    root = make_book()
    assert digest.find_unpinned(root) == {}
    change(root, "requirements.txt", "keras==3.13.2", "keras==3.12.0")
    assert list(digest.find_unpinned(root)) == ["keras"]


# This book


@pytest.fixture(scope="module")
def this_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what digests look at, without results."""
    root = tmp_path_factory.mktemp("book")
    for folder in ("helpers", "studies", "tools"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "notebooks").mkdir()
    for name in ("requirements.txt", "requirements-torch.txt", *(f"notebooks/{p.name}" for p in _chapters())):
        shutil.copy(ROOT / name, root / name)
    return root


def _chapters() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def test_nothing_is_named_after_an_edit_that_measures_nothing(this_book: Path) -> None:
    """An unused function, a comment and a type hint in losses.py, a reworded error in data.py; then all at once."""
    before, losses, data = list_digests(this_book), this_book / "helpers/losses.py", this_book / "helpers/data.py"
    text = losses.read_text(encoding="utf-8")
    hinted = re.sub(
        r"def gradient_penalty\((\w+)[^)]*\)[^:]*:", r"def gradient_penalty(\1: object) -> object:  # why", text
    )
    assert hinted != text
    losses.write_text(f"{hinted}\n\ndef unused_loss(x):\n    return x\n", encoding="utf-8")
    reworded, count = re.subn(r'raise (\w+)\(\n? *f?"', lambda found: f"{found[0]}Reworded: ", data.read_text("utf-8"))
    assert count > 0
    data.write_text(reworded, encoding="utf-8")
    KNOWN[this_book] = list_digests(this_book)
    assert KNOWN[this_book] == before


def test_a_change_of_the_penalty_names_what_trains_a_gan_and_nothing_else(this_book: Path) -> None:
    """The penalty is called by the step of GAN, of which ConditionalGAN is one: who trains either, names the class.

    So a chapter is reached where the text of a cell that counts names a GAN of helpers or the penalty itself, and a
    study where its script does, or the cells of the chapter that it runs, or a script that it imports.
    """
    names = re.compile(r"\b(models\.GAN|\w*\.?ConditionalGAN|losses\.gradient_penalty)\b")
    of_chapters = {path.stem: code_cells(read(path)) for path in _chapters()}

    def counts(cell: dict) -> bool:
        return not (only_draws(cell) or {"exercise", "record"} & book_metadata(cell).keys())

    expected = set()
    for name, cells in of_chapters.items():
        expected |= {f"outputs {name}"} if any(names.search(cell.source) for cell in cells) else set()
        if any(names.search(cell.source) for cell in cells if counts(cell)):
            expected |= {f"quick {name}", f"full {name}"}
    texts = {script.stem: script.read_text(encoding="utf-8") for script in (ROOT / "studies").glob("*.py")}
    for study in (name for name, text in texts.items() if "\nSEEDS = " in text):
        text = "".join((texts[study], *(texts[one] for one in re.findall(r"from studies\.(\w+)", texts[study]))))
        runs = re.search(r'CELLS = \("(\w+)", "(\w+)"\)', text)
        of_cells = of_chapters[runs[1]] if runs else []
        if names.search(re.sub(r'"""[^"]*"""', "", text)) or any(names.search(cell.source) for cell in of_cells):
            expected.add(f"study {study}")
    assert {"quick gan", "full gan", "outputs gan"} <= expected
    assert not {"quick vae", "full vae", "study vae_likelihood"} & expected
    losses = (this_book / "helpers/losses.py").read_text(encoding="utf-8")
    body = re.search(r"def gradient_penalty\(.*?\n    return ", losses, re.DOTALL)[0]
    assert change(this_book, "helpers/losses.py", body, f"{body}2.0 * ") == expected


def test_another_version_of_tensorflow_names_everything(this_book: Path) -> None:
    pinned = re.search(r"tensorflow==\S+", (this_book / "requirements.txt").read_text(encoding="utf-8"))[0]
    assert change(this_book, "requirements.txt", pinned, "tensorflow==9.9.9") == KNOWN[this_book].keys()


def test_no_study_is_called_as_a_chapter() -> None:
    """They would write the same record."""
    assert not {path.stem for path in _chapters()} & set(Code().studies())
