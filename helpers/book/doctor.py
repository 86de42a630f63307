"""What this machine has of what the book needs, and what to do about the rest: `python -m helpers.book.doctor`.

It needs nothing but Python, and no network. What may break is imported in a process of its own, TensorFlow last, and
there asked in the folder of the chapters: it is what a chapter will do.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from helpers.book import surroundings

Finding = tuple[str, str, str]  # kind, text, cure
OLDEST, NEWEST = (3, 11), (3, 13)  # Keras 3.13 needs Python 3.11; TensorFlow 2.20 has wheels up to 3.13
LIGHT = {  # what a chapter imports: as what, and from which version on
    "numpy": ("numpy", "2.0"),
    "scipy": ("scipy", "1.13"),
    "matplotlib": ("matplotlib.pyplot", "3.8"),
    "scikit-learn": ("sklearn.datasets", "1.5"),
    "pandas": ("pandas", "2.2"),
}
HEAVY = {"tensorflow": ("tensorflow", "2.18"), "keras": ("keras", "3.9")}
PINS = Path(__file__).parents[2] / "requirements.txt"  # in a checkout; not where the package is installed, as on Colab
CHAPTERS = PINS.parent / "notebooks" if (PINS.parent / "notebooks").is_dir() else Path.cwd()
FIND = "import importlib.util as u; found = u.find_spec('helpers'); print(found and found.origin)"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONIOENCODING": "utf-8"}


def examine() -> int:
    """Print a line about each thing that the book needs, with what to do where it is wrong; return how many are."""
    kinds = []
    surroundings.let_print()
    before, after = (check_python(), check_surroundings()), (check_data(), check_packages(HEAVY), check_run())
    for findings in (*before, check_packages(LIGHT), *after):
        for kind, text, cure in findings:
            kinds.append(kind)
            print(f"{kind:8}{text}" + f"\n{'':8}-> {cure}" * bool(cure), flush=True)
    print(f"{kinds.count('PROBLEM')} to mend, {kinds.count('note')} to know")
    return kinds.count("PROBLEM")


def check_python() -> Iterator[Finding]:
    """Yield (kind, text, cure) about Python and where its packages are; kind is "ok", "note" or "PROBLEM"."""
    cure = "take 3.11, 3.12 or 3.13: `make clean`, then `PYTHON=/path/to/python3.12 make book`"
    yield _judge(OLDEST <= sys.version_info[:2] <= NEWEST, f"Python {sys.version.split()[0]}", cure)
    apart = sys.prefix != sys.base_prefix or "COLAB_RELEASE_TAG" in os.environ
    cure = r"`source .venv/bin/activate`, in Windows `.venv\Scripts\activate`; `make` does without"
    yield _judge(apart, f"packages in {sys.prefix}", cure, "note")


def check_surroundings() -> Iterator[Finding]:
    """Yield findings about which helpers a chapter would import, folders that cannot be written, and the console."""
    _, place = _run(FIND)
    if place == "None":
        yield "PROBLEM", f"no helpers for a chapter in {CHAPTERS}", "`make book`, or `python -m pip install -e .`"
    elif place and not Path(place).parent.joinpath("book", "runtime.py").exists():
        cure = "move it, or take its folder out of PYTHONPATH"
        yield "PROBLEM", f"{place} hides the book's helpers from a chapter", cure
    yield from surroundings.find_notes()


def check_packages(packages: dict[str, tuple[str, str]]) -> Iterator[Finding]:
    """Yield findings about each package: its version, and whether it can be imported."""
    pins = dict(re.findall(r"(?m)^([\w-]+)==(\S+)", PINS.read_text(encoding="utf-8") if PINS.exists() else ""))
    for name, (module, oldest) in packages.items():
        wanted = f"{name}=={pins[name]}" if name in pins else f"{name}>={oldest}"
        all_of_them = "python -m pip install -r requirements-lock.txt"
        install = f"`make book`, or `{all_of_them}`" if pins else f'`pip install "{wanted}"`'
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield "PROBLEM", f"{name} is not installed, wanted {wanted}", install
            continue
        refused = name == "keras" and surroundings.find_faults()  # which would stop it, and are named at the end
        works, said = (True, "") if refused else _run(f"import {module}")
        if not works:
            cure = f'`python -m pip install --force-reinstall "{wanted}"`'
            yield "PROBLEM", f"{name} {found} cannot be imported: {said}", cure
        elif _number(found) < _number(oldest):
            yield "PROBLEM", f"{name} {found} is too old, wanted {wanted}", install
        else:
            cure = f"where a verdict misses its band, take the version wanted: {install}"
            yield _judge(found == pins.get(name, found), f"{name} {found}, wanted {wanted}", cure, "note")


def check_data() -> Iterator[Finding]:
    """Yield findings about the digits of both profiles, as far as they can be known without TensorFlow."""
    works, said = _run("from sklearn.datasets import load_digits as load; print(load().images.shape)")
    yield _judge(works and said == "(1797, 8, 8)", f"scikit-learn's digits: {said}", "mend scikit-learn first")
    named, path = os.environ.get("MNIST_NPZ", ""), _find_mnist()
    if path.exists() or named:
        cure = "there is no such file: name another in MNIST_NPZ, or unset it"
        if Path(named).is_file():
            cure = f"a chapter looks in its own folder: set MNIST_NPZ to {Path(named).absolute()}"
        yield _judge(path.is_file(), f"MNIST: {path}", cure)
    else:
        cure = "`quick` needs none; `full` downloads it, or reads the file in MNIST_NPZ"
        yield "note", "MNIST is not on this machine", cure


def check_run() -> Iterator[Finding]:
    """Yield findings about the MNIST file's contents, and the profile, seed and device that a chapter would use."""
    starts, told = _run("from helpers.book import runtime; runtime.start()")
    if starts and _find_mnist().is_file():
        works, said = _run(
            "import os; from helpers import data; data.check_cached_mnist()\n"
            "p = os.environ['MNIST_NPZ']; data.check_mnist(data.read_mnist_file(p), p)"
        )
        cure = "name another file in MNIST_NPZ, or move this one away: Keras then fetches it"
        yield _judge(works, f"MNIST: {said or 'each array has the digest expected'}", cure)
    yield _judge(starts, told, "mend the packages above, or the setting that is refused")
    if starts and told.endswith("CPU") and shutil.which("nvidia-smi") and "CUDA_VISIBLE_DEVICES" not in os.environ:
        yield "note", "a GPU that TensorFlow does not see", '`pip install "tensorflow[and-cuda]"`, on Linux only'


def _find_mnist() -> Path:
    return CHAPTERS / (os.environ.get("MNIST_NPZ") or surroundings.find_cached_mnist())


def _judge(fits: bool, text: str, cure: str, otherwise: str = "PROBLEM") -> Finding:
    return ("ok", text, "") if fits else (otherwise, text, cure)


def _number(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:2]]


def _run(code: str) -> tuple[bool, str]:
    """Return whether Python code runs in a process of its own, and the last line that it printed, or its error."""
    environment = {**os.environ, **QUIET}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment,
        cwd=CHAPTERS,
    )
    if done.returncode < 0:
        return False, f"stopped by signal {-done.returncode}; TensorFlow needs a processor with AVX"
    lines = (done.stderr if done.returncode else done.stdout).strip().splitlines() or [""]
    errors = [line for line in lines if done.returncode and re.match(r"[\w.]+(Error|Exception)\b", line)]
    return not done.returncode, (errors or lines)[-1]


if __name__ == "__main__":
    sys.exit(1 if examine() else 0)
