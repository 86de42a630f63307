"""Builds the site with Sphinx itself, all at the newest versions: `python -m tools.plain_sphinx`.

Jupyter Book 1.x is frozen and holds Sphinx back; this is the way out, tried every week. The settings are those that
Jupyter Book makes of `_config.yml`, without it. They go to `conf.py`, which is removed at the end, the packages to
`.venv-newest`, the site to `_build/plain`.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tools.notebook_files import ROOT

FROM_JUPYTER_BOOK = {"jupyter_book", "sphinx_jupyterbook_latex"}
# What Jupyter Book brings along, and what the book's own extensions need; the rest comes with the book's package.
PACKAGES = (
    *("sphinx", "myst-nb", "linkify-it-py", "sphinx-book-theme", "sphinx-external-toc", "sphinx-multitoc-numbering"),
    *("sphinx-comments", "sphinx-copybutton", "sphinx-design", "sphinx-togglebutton", "sphinxcontrib-bibtex"),
    *("sphinx-mathjax-offline", "fonttools", "nbformat"),
)


def make_settings(root: Path = ROOT) -> str:
    """The text of a `conf.py` for Sphinx alone."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("_config.yml", "_toc.yml"):
            Path(folder, name).write_bytes((root / name).read_bytes())
        command = "from jupyter_book.cli.main import main; main()"
        subprocess.run([sys.executable, "-c", command, "config", "sphinx", folder], check=True, capture_output=True)
        settings = Path(folder, "conf.py").read_text(encoding="utf-8")
    head = f"import sys\nsys.path[:0] = [{str(root)!r}, {str(root / 'book' / '_ext')!r}]\n"
    tail = f"extensions = [name for name in extensions if name not in {sorted(FROM_JUPYTER_BOOK)}]\n"
    return head + settings + tail + "del use_jupyterbook_latex, sys\n"


def build(python: str, root: Path = ROOT) -> int:
    """Builds the site with the packages of an interpreter, strictly, and returns the exit status."""
    settings = root / "conf.py"
    settings.write_text(make_settings(root), encoding="utf-8")
    strict = ["--nitpicky", "--fail-on-warning", "--keep-going", "--quiet", "--fresh-env"]
    try:
        return subprocess.run(
            [python, "-m", "sphinx", *strict, root, root / "_build" / "plain"], check=False
        ).returncode
    finally:
        settings.unlink()


def main() -> int:
    """Installs the newest packages, builds, and returns the exit status."""
    folder = ROOT / ".venv-newest"
    venv.create(folder, clear=True, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES, "--editable", str(ROOT)], check=True)
    return build(python)


if __name__ == "__main__":
    sys.exit(main())
