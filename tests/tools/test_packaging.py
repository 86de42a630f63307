"""What gets installed: exact pins here, loose bounds on Colab, a package that carries its reference bands."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.notebook_files import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEPENDENCIES = [Requirement(line) for line in PROJECT["project"]["dependencies"]]


def pins(name: str) -> dict[str, str]:
    """Version by name in a requirements file; fails on a line that is neither an exact pin, an option nor a comment."""
    found = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith(("#", "-")):
            continue
        match = re.fullmatch(r"([\w.-]+)==([\w.+]+)", line)
        assert match, f"{name}: {line!r} is not an exact pin"
        found[canonicalize_name(match[1])] = match[2]
    return found


DIRECT, BROUGHT_ALONG, COLAB = pins("requirements.txt"), pins("constraints.txt"), pins("tools/colab_image.txt")
EXTRA = pins("requirements-torch.txt")


def imported_packages(folder: Path) -> set[str]:
    """Top-level names that the modules of a folder import, standard library and the folder itself left out."""
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"helpers"}


def test_the_last_requirement_is_the_book_itself() -> None:
    assert (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()[-1] == "-e ."


def test_what_is_installed_here_is_what_is_pinned() -> None:
    command = [sys.executable, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    listing = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    here = {canonicalize_name(name): version for name, version in (line.split("==") for line in listing.split())}
    unpinned = here.items() - (DIRECT | EXTRA | BROUGHT_ALONG).items()
    assert {name for name, _ in unpinned} <= {"pip", "generative-book"}, "pin it; if it was unpinned: make clean"
    assert not DIRECT.keys() & BROUGHT_ALONG.keys()


def test_the_extra_is_the_cpu_build() -> None:
    """Any other build of that version brings gigabytes of CUDA along."""
    assert {name: version.partition("+")[2] for name, version in EXTRA.items()} == {"torch": "cpu"}


def test_helpers_depend_on_all_that_they_import() -> None:
    owners = packages_distributions()
    imported = {canonicalize_name(owners[name][0]) for name in imported_packages(ROOT / "helpers")}
    assert imported | {"jinja2"} == {requirement.name for requirement in DEPENDENCIES}  # pandas' Styler imports it late


@pytest.mark.parametrize("requirement", DEPENDENCIES, ids=lambda requirement: requirement.name)
def test_colab_meets_every_bound(requirement: Requirement) -> None:
    """Only lower bounds, none above Colab's version: pip then has no reason to touch what Colab has."""
    assert [bound.operator for bound in requirement.specifier] == [">="]
    assert requirement.specifier.contains(COLAB[requirement.name])


@pytest.mark.parametrize("name", sorted(COLAB.keys() & DIRECT.keys() - {"ipykernel"}))
def test_chapters_are_tested_with_colabs_versions(name: str) -> None:
    assert DIRECT[name] == COLAB[name]


def test_the_build_tool_is_pinned_once() -> None:
    assert PROJECT["build-system"]["requires"] == [f"hatchling=={DIRECT['hatchling']}"]


def test_every_direct_requirement_has_a_reason() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    told = {
        canonicalize_name(name)
        for line in re.findall(r"^\| `.*?\|", text, re.M)
        for name in re.findall(r"`(.+?)`", line)
    }
    assert (DIRECT | EXTRA).keys() - told == set()


def test_python_versions_are_the_same_everywhere() -> None:
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert 'wanted="Python 3.11, 3.12 or 3.13"' in (ROOT / "tools" / "bootstrap.sh").read_text(encoding="utf-8")
    assert Version("3.11") <= Version(f"{sys.version_info.major}.{sys.version_info.minor}") <= Version("3.13")


def test_the_wheel_carries_helpers_and_results_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("generative_book-*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "helpers").rglob("*")
        if path.suffix in (".py", ".css", ".js", ".svg", ".txt", ".csv", ".md")
    }
    carried = {"helpers/book/static/frames.js", "helpers/book/drawings/gan.svg", "helpers/datasets/german_credit.csv"}
    assert carried <= modules
    results = {f"helpers/{path.relative_to(ROOT)}" for path in (ROOT / "results").rglob("*") if path.is_file()}
    assert "helpers/results/bands/quick.json" in names
    assert names == modules | results
