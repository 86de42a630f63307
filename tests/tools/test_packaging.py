"""What gets installed: exact pins, with hashes, here; loose bounds on Colab; a package that carries its bands."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
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


def read_lock(name: str) -> dict[str, tuple[Requirement, list[str]]]:
    """Requirement and hashes by name in what `make lock` writes; fails on a line that is none of it."""
    text = re.sub(r" \\\n +", " ", (ROOT / name).read_text(encoding="utf-8"))
    options, found = [], {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line.startswith("-"):
            options.append(line)
            continue
        requirement, *hashes = re.split(r" --hash=", line)
        assert not set(requirement) & {"<", ">", "~"} - set(requirement.partition(";")[2]), line
        found[canonicalize_name(Requirement(requirement).name)] = Requirement(requirement), hashes
    assert options == ["--only-binary :all:"]
    return found


def version_of(requirement: Requirement) -> str:
    (pin,) = requirement.specifier
    assert pin.operator == "==", requirement
    return pin.version


LOCK, SUPPLY = read_lock("requirements-lock.txt"), read_lock("tools/supply.txt")
DIRECT, COLAB, EXTRA = pins("requirements.txt"), pins("tools/colab_image.txt"), pins("requirements-torch.txt")
ALL = {name: version_of(requirement) for name, (requirement, _) in LOCK.items()}
# What only other systems or Pythons need has a marker.
EVERYWHERE = {name for name, (requirement, _) in LOCK.items() if not requirement.marker}


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


@pytest.mark.parametrize("lock", [LOCK, SUPPLY], ids=["requirements-lock.txt", "supply.txt"])
def test_every_pin_has_the_hashes_of_its_files(lock: dict) -> None:
    """With them pip takes no other file, whoever serves it; wheels alone, which run nothing when they are installed."""
    for requirement, hashes in lock.values():
        assert version_of(requirement)
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), requirement


def test_the_lock_is_that_of_what_is_asked_for() -> None:
    """`make lock` mends it."""
    assert DIRECT.items() <= ALL.items()
    asked = {canonicalize_name(name) for name in PROJECT["dependency-groups"]["torch-brings"]}
    assert asked <= ALL.keys()
    supply = [Requirement(line) for line in PROJECT["dependency-groups"]["supply"]]
    assert {one.name: version_of(one) for one in supply}.items() <= {
        name: version_of(requirement) for name, (requirement, _) in SUPPLY.items()
    }.items()
    shared = SUPPLY.keys() & LOCK.keys()
    assert {version_of(SUPPLY[name][0]) for name in shared} == {ALL[name] for name in shared}


@pytest.mark.parametrize("python", ["3.11.5", "3.12.0", "3.13.0"])
@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
def test_the_lock_holds_all_that_its_packages_ask_for(python: str, system: str) -> None:
    """By what those installed here say they need, elsewhere too; PyTorch among them where it is installed."""
    about = {"python_version": python.rpartition(".")[0], "python_full_version": python, "extra": ""}
    about |= {"sys_platform": system, "os_name": "nt" if system == "win32" else "posix"}
    about["platform_system"] = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system]
    held = {name for name, (one, _) in LOCK.items() if not one.marker or one.marker.evaluate(about)}
    missing = {}
    for name in sorted(held | EXTRA.keys()):
        try:
            wanted = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue
        needed = {canonicalize_name(one.name): one for one in wanted if not one.marker or one.marker.evaluate(about)}
        missing |= {f"{name}: {one}": one for key, one in needed.items() if key not in held}
        missing |= {
            f"{name}: {one}": one for key, one in needed.items() if key in ALL and ALL[key] not in one.specifier
        }
    assert missing == {}


def test_what_is_installed_here_is_what_is_pinned() -> None:
    command = [sys.executable, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    listing = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    here = {canonicalize_name(name): version for name, version in (line.split("==") for line in listing.split())}
    unpinned = here.items() - (ALL | EXTRA).items()
    assert {name for name, _ in unpinned} <= {"pip", "generative-book"}, "pin it; if it was unpinned: make clean"
    assert here.keys() >= EVERYWHERE


# What the licences are of: `make licences` writes them.

LICENCES = {
    canonicalize_name(name): (version, licence)
    for name, version, licence in re.findall(
        r"^\| (\S+) +\| (\S+) +\| (.+?) +\|$", (ROOT / "LICENSE-PACKAGES.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    if name != "Name"
}


def test_every_package_has_a_line_among_the_licences() -> None:
    told = {name: version for name, (version, _) in LICENCES.items()}
    assert told.items() <= (ALL | EXTRA).items()
    assert told.keys() >= EVERYWHERE | EXTRA.keys()


def test_licences_that_need_a_word_have_one() -> None:
    """The text above the table says what those two are, and why the GPL of a tool does not reach the book."""
    head = (ROOT / "LICENSE-PACKAGES.md").read_text(encoding="utf-8").partition("| Name")[0]
    odd = {name for name, (_, licence) in LICENCES.items() if "GPL" in licence or licence == "UNKNOWN"}
    assert odd == {"axe-playwright-python", "namex", "codespell", "docutils"}
    unlisted = ALL.keys() - LICENCES.keys()
    assert {name for name in odd | unlisted if name not in head} == set()


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
