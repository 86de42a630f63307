"""Writes the book's address into every setup cell and `_config.yml`: `python -m tools.set_repository URL [BRANCH]`.

Colab reads the committed notebook, not the site, so the address must stand in the chapters themselves.
"""

import os
import re
import sys
from pathlib import Path

from tools.notebook_files import (
    NOTEBOOKS,
    ROOT,
    SETUP_TITLE,
    book_metadata,
    code_cells,
    read,
    setup_source,
    setup_values,
    text_of,
    write_text,
)

CONFIG = ROOT / "_config.yml"
EXPECTED = "https://github.com/OWNER/NAME"


def normalised(url: str) -> str:
    """The address of a repository without a trailing slash or `.git`.

    Raises ValueError for all but https://github.com/OWNER/NAME: Colab opens chapters from GitHub only.
    """
    found = re.fullmatch(r"https://github\.com/([A-Za-z0-9-]+/[A-Za-z0-9._-]+?)(\.git)?/?", url)
    if not found or found[1].endswith("/.") or found[1].endswith("/.."):
        raise ValueError(f"URL is {url!r}; expected {EXPECTED}.")
    return f"https://github.com/{found[1]}"


def pages_of(url: str) -> str:
    """Where GitHub publishes the site of a repository, with a closing slash.

    BOOK_SITE, for a domain of one's own, overrides it. Raises ValueError for an address that is not one of GitHub.
    """
    owner, name = normalised(url).split("/")[-2:]
    host = f"{owner.lower()}.github.io"
    usual = f"https://{host}" if name.lower() == host else f"https://{host}/{name}"
    return (os.environ.get("BOOK_SITE") or usual).rstrip("/") + "/"


def checked_branch(branch: str) -> str:
    """The name of the branch; raises ValueError for one that cannot stand in a link or in a pip requirement."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", branch):
        raise ValueError(f"BRANCH is {branch!r}; expected a name such as main.")
    return branch


def config_values(text: str) -> tuple[str, str]:
    """Address and branch that a `_config.yml` holds; raises ValueError where it has no such block."""
    return _config_match(text).group("url", "branch")


def config_with(text: str, repository: str, branch: str) -> str:
    """The text of `_config.yml` with another address and branch, all else, comments too, as it was."""
    found = _config_match(text)
    start, end = found.span()
    return f'{text[:start]}repository:\n  url: "{repository}"\n  branch: {branch}\n{text[end:]}'


def _config_match(text: str) -> re.Match:
    found = re.search(r'^repository:\n  url: "(?P<url>[^"\n]*)"\n  branch: (?P<branch>\S+)\n', text, re.MULTILINE)
    if not found:
        raise ValueError('_config.yml has no block `repository:` with the lines `url: "..."` and `branch: ...`.')
    return found


def chapter_with(path: Path, repository: str, branch: str) -> str:
    """The text of a chapter's file with another address in its setup cell; raises ValueError if it has not just one."""
    notebook = read(path)
    cells = [cell for cell in code_cells(notebook) if book_metadata(cell).get("setup")]
    if len(cells) != 1 or setup_values(cells[0].source) is None:
        raise ValueError(f"{path.name} does not have the setup cell of tools/notebook_files.py just once.")
    title = SETUP_TITLE if cells[0].source.startswith(SETUP_TITLE) else ""
    cells[0].source = title + setup_source(repository, branch)
    return text_of(notebook)


def set_repository(url: str, branch: str, notebooks: Path = NOTEBOOKS, config: Path = CONFIG) -> list[Path]:
    """Writes address and branch into every chapter and the configuration, or, where one refuses, into none.

    Returns the files that changed.
    """
    values = normalised(url), checked_branch(branch)
    texts = {path: chapter_with(path, *values) for path in sorted(notebooks.glob("*.ipynb"))}
    texts[config] = config_with(config.read_text(encoding="utf-8"), *values)
    changed = [path for path, text in texts.items() if path.read_text(encoding="utf-8") != text]
    for path in changed:
        write_text(texts[path], path)
    return changed


def main(arguments: list[str]) -> int:
    """Sets the address, tells which files to commit, and returns the exit status."""
    try:
        changed = set_repository(*arguments)
    except ValueError as error:
        print(f"{error} Nothing was changed.", file=sys.stderr)
        return 1
    names = " ".join(str(path.relative_to(ROOT)) for path in changed)
    print(f"Now commit and push: {names}" if changed else "The address already stands everywhere.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
