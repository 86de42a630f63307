"""`make publish-rehearsal`: a fork is pushed, its site and its branch for Colab are made, with nothing to commit.

GitHub's part is played by a repository in a folder, the part of `.github/workflows/pages.yml` by the two targets that
it runs. Slow, since it builds the whole site.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import site_checks

from tests.tools.colab_session import snapshot
from tools.notebook_files import chapters, read, setup_values
from tools.push_colab import BRANCH

pytestmark = pytest.mark.slow
FORK = "https://github.com/Some-Reader/a-fork.of-the-book"
SITE = "https://some-reader.github.io/a-fork.of-the-book/"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A repository to which a push was made, and the checkout in which its workflow ran."""
    folder = tmp_path_factory.mktemp("fork")
    work, remote, checkout = folder / "work", folder / "remote.git", folder / "checkout"
    snapshot(work)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
    git(work, "push", "--quiet", str(remote), "main")
    git(folder, "clone", "--quiet", str(remote), str(checkout))
    # The packages of this process, and the modules of that checkout.
    environment = {**os.environ, "PYTHONPATH": str(checkout), "BOOK_SITE": ""}
    make = ["make", "--old-file=.venv/.installed", f"BIN={Path(sys.executable).parent}"]
    for target in (["publish", f"URL={FORK}"], ["push-colab", "REMOTE=origin"]):
        subprocess.run([*make, *target], cwd=checkout, env=environment, check=True)
    return remote, checkout


def test_nothing_of_the_fork_was_changed(fork: tuple[Path, Path]) -> None:
    remote, checkout = fork
    assert git(checkout, "status", "--porcelain") == ""
    assert git(remote, "branch", "--format=%(refname:short)").split() == [BRANCH, "main"]
    assert git(remote, "rev-parse", "main") == git(checkout, "rev-parse", "HEAD")


def test_every_colab_button_opens_a_chapter_of_the_branch(fork: tuple[Path, Path]) -> None:
    remote, checkout = fork
    there = git(remote, "ls-tree", "-r", "--name-only", BRANCH).split()
    links = site_checks.find_colab_links(checkout / "_build" / "html")
    expected = {f"notebooks/{path.stem}" for path in chapters()}
    assert set(links) == expected
    for name, (link,) in links.items():
        start = f"/github/{FORK.removeprefix('https://github.com/')}/blob/{BRANCH}/"
        assert urlsplit(link).path == f"{start}{name}.ipynb"
        assert f"{name}.ipynb" in there


def test_the_chapters_of_the_branch_carry_its_address(fork: tuple[Path, Path], tmp_path: Path) -> None:
    remote, checkout = fork
    git(tmp_path, "clone", "--quiet", "--branch", BRANCH, str(remote), "there")
    site = checkout / "_build" / "html"
    for path in chapters(root=tmp_path / "there"):
        copy = read(path)
        assert [setup_values(cell.source) for cell in copy.cells if setup_values(cell.source)] == [(FORK, BRANCH)]
        text = "\n".join(cell.source for cell in copy.cells)
        pages = re.findall(rf"\({re.escape(SITE)}([^)#\s]+)", text)
        assert pages
        assert {page for page in pages if not (site / page).is_file()} == set()


def test_the_site_carries_it_too(fork: tuple[Path, Path]) -> None:
    _, checkout = fork
    site = checkout / "_build" / "html"
    assert site_checks.find_foreign_requests(site) == []
    listed = re.findall(r"<loc>(.+)</loc>", (site / "sitemap.xml").read_text(encoding="utf-8"))
    assert {f"{SITE}notebooks/{path.stem}.html" for path in chapters()} < set(listed)
    assert [page for page in listed if not (site / page.removeprefix(SITE)).is_file()] == []
    chapter = (site / "notebooks" / "vae.html").read_text(encoding="utf-8")
    assert f'content="{SITE}_static/card.png"' in chapter
    assert f"{FORK}/edit/main/notebooks/vae.ipynb" in chapter
