"""Writes copies of the chapters for Colab, which shows MyST raw: `python -m tools.colab_copies URL [BUILD]`.

A copy has the same code, and the repository's address in its setup cell. Its text is plain Markdown, in which a
reference says what it says on the site, as `references.json` of the build has it, and leads there. BUILD is the folder
of that build, by default _build; the copies go to its folder `colab`, at the paths that the branch of that name has.
"""

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from book._ext.book_references import tell_key
from tools.notebook_files import HIDING, ROOT, SETUP_TITLE, book_metadata, chapters, read, setup_source, write
from tools.push_colab import BRANCH
from tools.set_repository import normalised, pages_of

ROLE = re.compile(r"\{(ref|numref|eq|cite|cite:t)\}`([^`]+)`")
KINDS = {"cite": "p", "cite:t": "t"}  # what Sphinx calls the roles that it calls otherwise
TITLED = re.compile(r"(.*?)\s*<([^<>]+)>", re.DOTALL)
OPENING = re.compile(r"(?P<fence>:{3,}|`{3,})(?:\{(?P<name>[\w-]+)\}\s*(?P<title>.*)|[^`]*)")
OPTION = re.compile(r":([\w-]+):\s*(.*)")
TARGET = re.compile(r"\([\w-]+\)=")
LABELLED = re.compile(r"(.*)\$\$ \(([\w-]+)\)")
MATHS = re.compile(r"\$[^$]+\$")


class Page(NamedTuple):
    """One chapter's page of the site: its address below the root, and what the build wrote down of it."""

    root: str
    path: str
    title: str
    numbers: dict[str, str]
    says: dict[str, list]


# Text


def format_role(page: Page, role: str, content: str) -> str:
    """What a reference says on the site, as links to there; what is on the same page is in the copy too: no link."""
    titled = TITLED.fullmatch(content)
    text, target = titled.groups() if titled else ("", content)
    pieces = page.says[tell_key(KINDS.get(role, role), target.strip(), text)]
    own = (None, page.path)
    return "".join(
        said if (path and path.partition("#")[0]) in own else f"[{said}]({path if '://' in path else page.root + path})"
        for said, path in pieces
    )


def format_inline(page: Page, text: str) -> str:
    """A text without roles."""
    return ROLE.sub(lambda role: format_role(page, role[1], role[2]), text)


def format_blocks(page: Page, lines: list[str]) -> list[str]:
    """Lines of MyST as lines of plain Markdown."""
    written, lines = [], list(lines)
    while lines:
        line = lines.pop(0)
        if opening := OPENING.fullmatch(line):
            end = lines.index(opening["fence"])
            body, lines = lines[:end], lines[end + 1 :]
            if opening["name"]:
                options, body = split_options(body)
                written += FORMATS[opening["name"]](page, format_inline(page, opening["title"]), options, body)
            else:
                written += [line, *body, opening["fence"]]
        elif labelled := LABELLED.fullmatch(line):
            number = page.numbers[labelled[2]].strip("()")
            written += [f"{labelled[1]}\\tag{{{number}}}", "$$"]
        elif not TARGET.fullmatch(line):
            written.append(format_inline(page, line))
    return written


def split_options(body: list[str]) -> tuple[dict[str, str], list[str]]:
    """The options at the head of a directive, and its content."""
    options = {}
    while body and (option := OPTION.fullmatch(body[0])):
        options[option[1]] = option[2]
        body = body[1:]
    return options, body


def format_admonition(page: Page, title: str, options: dict[str, str], body: list[str]) -> list[str]:
    """A box as a quotation under its title."""
    return [f"> {line}".rstrip() for line in (f"**{title}**", "", *format_blocks(page, strip_blank(body)))]


def format_dropdown(page: Page, title: str, options: dict[str, str], body: list[str]) -> list[str]:
    """A fold, whose text is Markdown because of the blank lines."""
    return ["<details>", f"<summary>{title}</summary>", "", *format_blocks(page, strip_blank(body)), "", "</details>"]


def format_table(page: Page, title: str, options: dict[str, str], body: list[str]) -> list[str]:
    """A list of rows as a table with pipes, under its title."""
    rows: list[list[list[str]]] = []
    for line in strip_blank(body):
        if line.startswith("* -"):
            rows.append([])
        if re.match(r"[* ] -", line):
            rows[-1].append([])
        rows[-1][-1].append(line[4:])
    cells = [[format_cell(page, cell) for cell in row] for row in rows]
    if "header-rows" not in options:
        cells.insert(0, [""] * len(cells[0]))
    number = page.numbers.get(options.get("name", ""), "")
    caption = [f"**{number}.** {title}" if number else f"**{title}**", ""] if title else []
    head, *rest = [f"| {' | '.join(row)} |" for row in cells]
    return [*caption, head, f"|{' --- |' * len(cells[0])}", *rest]


def format_cell(page: Page, lines: list[str]) -> str:
    """A cell in one line, whose own bars cannot end it."""
    text = "<br>".join(" ".join(part.split()) for part in "\n".join(format_blocks(page, lines)).split("\n\n"))
    text = MATHS.sub(lambda maths: maths[0].replace("\\|", "\\Vert ").replace("|", "\\vert "), text)
    return text.replace("|", "\\|").strip()


def strip_blank(lines: list[str]) -> list[str]:
    """The lines without blank ones at both ends."""
    return "\n".join(lines).strip("\n").split("\n")


FORMATS = {"admonition": format_admonition, "dropdown": format_dropdown, "list-table": format_table}

# Chapters


def copy_chapter(notebook: NotebookNode, page: Page, repository: str) -> NotebookNode:
    """The notebook as Colab is to show it; the one that is given becomes it."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = "\n".join(strip_blank(format_blocks(page, cell.source.split("\n"))))
        elif book_metadata(cell).get("setup"):
            title = SETUP_TITLE if cell.source.startswith(SETUP_TITLE) else ""
            cell.source = title + setup_source(repository, BRANCH)
        elif HIDING & set(cell.metadata.get("tags", [])):
            cell.metadata["cellView"] = "form"  # Colab then shows the output alone
        cells.append(cell)
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if number := page.numbers.get(figure.get("name")):
            caption = f"**{number}.** {format_inline(page, figure['caption'])}"
            cells.append(new_markdown_cell(caption, id=f"{cell.id}-caption"))
    there = f"This is a copy for Colab of [{page.title}]({page.root}{page.path}), a chapter of [the book]({page.root})."
    cells.insert(1, new_markdown_cell(f"*{there}*", id="copy-for-colab"))
    notebook.cells = cells
    return notebook


def write_copies(url: str, build: Path) -> list[Path]:
    """Writes the copies of all chapters beside the site that was built in a folder, and returns their paths."""
    repository, root = normalised(url), pages_of(url)
    known = json.loads((build / "references.json").read_text(encoding="utf-8"))
    folder = build / "colab" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for path in chapters():
        page = Page(root, f"notebooks/{path.stem}.html", **known[f"notebooks/{path.stem}"])
        write(copy_chapter(read(path), page, repository), folder / path.name)
    return sorted(folder.glob("*.ipynb"))


def main(url: str, build: Path = ROOT / "_build") -> int:
    """Writes the copies, says where they are, and returns the exit status."""
    try:
        written = write_copies(url, Path(build))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(written)} chapters for Colab are in {written[0].parent}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
