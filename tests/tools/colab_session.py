"""Plays a session on Colab: Colab's packages, an empty folder, one chapter, and the book's address a local clone."""

import subprocess
from pathlib import Path

from tools.environment import quick_environment
from tools.execute import Run, run_notebook
from tools.notebook_files import ROOT

BASE = ROOT / ".venv-colab"  # what Colab's image has; made by the Makefile, never installed into


class ColabSession:
    """One Colab machine in a folder of its own, which must be empty.

    Its packages are those of BASE, seen through a path file: what is installed goes into the session alone.
    """

    def __init__(self, folder: Path) -> None:
        self.content = folder / "content"
        self.content.mkdir()
        self.python = str(folder / "machine" / "bin" / "python")
        subprocess.run([BASE / "bin" / "python", "-m", "venv", folder / "machine"], check=True)
        packages = self._output("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        base = packages.replace(str(folder / "machine"), str(BASE))
        Path(packages, "colab_image.pth").write_text(f"{base}\n", encoding="utf-8")

    def packages(self) -> dict[str, str]:
        """Version by name of every package that pip sees here."""
        listing = self._output("-m", "pip", "list", "--format=freeze", "--disable-pip-version-check")
        return dict(line.split("==") for line in listing.split())

    def run(self, chapter: Path, **environment: str) -> Run:
        """Runs all cells of a copy of the chapter, with these variables in the environment."""
        copy = self.content / chapter.name
        copy.write_bytes(chapter.read_bytes())
        return run_notebook(copy, quick_environment(**environment), python=self.python)

    def _output(self, *arguments: str) -> str:
        command = [self.python, *arguments]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout


def snapshot(folder: Path) -> str:
    """Makes a git repository of the working tree as it is, uncommitted files too, and returns its address."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout.decode().split("\0"):
        source, target = ROOT / name, folder / name
        if name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    author = ["-c", "user.name=book", "-c", "user.email=book@localhost", "-c", "commit.gpgsign=false"]
    git = ["git", "-C", str(folder), *author]
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
    subprocess.run([*git, "add", "--all"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "the book"], check=True)
    return folder.as_uri()
