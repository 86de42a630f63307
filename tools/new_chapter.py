"""Writes a new chapter with the form of a lesson: `python -m tools.new_chapter NAME [AFTER]`.

tools/form/chapter.ipynb is the form: a small experiment that works, with prompts, `To write: ...`, for the author. The
chapter is executed, and listed where the tests look for it: behind the chapter AFTER, by default the book's last one,
in `_toc.yml`, on the first page and under that chapter's section of the article. A name that cannot be taken is refused
before anything is written.
"""

import keyword
import re
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode

from tools.digest import Code
from tools.environment import quick_environment
from tools.execute import clean, run_notebook, say
from tools.notebook_files import (
    NOTEBOOKS,
    ROOT,
    SETUP_TITLE,
    book_metadata,
    setup_source,
    write,
    write_text,
)
from tools.says import SaysError
from tools.set_repository import config_values

TEMPLATE = Path(__file__).parent / "form" / "chapter.ipynb"
SAMPLE = "my_topic"  # the name of the chapter in it
LONGEST = 40  # letters of a name: the id of a cell, which begins with it, has 64 at most
TOC, INTRO, SECTIONS = "_toc.yml", "book/intro.md", "book/article/sections.toml"
NEXT = """\
notebooks/{name}.ipynb has run. It stands behind {after} in these files, in the last under § {section}:
{files}

What to do next, in order:
1. Is that its place? If not, move its name there, and change the § in its first cell.
2. Draw "{title}" into book/_pictures/parts.svg, and name it in that drawing's alternative text in
   book/intro.md: until then tests/book/test_door.py is red. Put it into a week of book/syllabus.md:
   until then tests/book/test_syllabus.py is.
3. make lab: write what each "To write:" asks for, and put your experiment in place of the small one.
   CONTRIBUTING.md, "What a chapter offers", says what holds each part. What is left:
   grep -n "To write:" notebooks/{name}.ipynb
4. make execute CHAPTER={name}
   make chapter CHAPTER={name}
   make lint
   Commit: what is measured is the last commit.
5. make bands CHAPTER={name}
   make execute CHAPTER={name}
   Commit, with results/. Until then its verdicts say "no reference band yet"; the tests let that pass,
   and `make test` names the chapter among what is not measured.
6. MNIST_NPZ=path make full CHAPTER={name}
   Show the record under "The full run", execute again, commit.
7. Name the chapter in book/article/statements.toml and claims.toml under what it tests.
   make book
   make test"""


class ChapterError(ValueError):
    """A chapter that cannot be made under this name or in this place."""


def check_name(name: str, root: Path = ROOT) -> None:
    """Raises ChapterError for a name that no chapter can have, or that is taken by a chapter or a study."""
    if not re.fullmatch(rf"[a-z][a-z0-9_]{{0,{LONGEST - 1}}}", name) or keyword.iskeyword(name):
        raise ChapterError(
            f"NAME is {name!r}; expected a Python identifier, such as style_transfer, of small letters, digits and "
            f"underscores, at most {LONGEST} in all."
        )
    for taken in (f"notebooks/{name}.ipynb", f"studies/{name}.py"):
        if (root / taken).exists():
            raise ChapterError(f"NAME is {name!r}, but {taken} exists; choose a name that nothing has.")
    if f"notebooks/{name}\n" in (root / TOC).read_text(encoding="utf-8"):
        raise ChapterError(f"NAME is {name!r}, but {TOC} lists it already; remove its line, or choose another name.")


def label_of(name: str) -> str:
    """The part of labels that tells a chapter: style-transfer for style_transfer."""
    return name.replace("_", "-")


def title_of(name: str) -> str:
    """The title that a chapter has at first: Style transfer for style_transfer."""
    return name.replace("_", " ").strip().capitalize()


def find_last(root: Path = ROOT) -> str:
    """The last chapter of `_toc.yml`."""
    return re.findall(r"(?m)^ *- file: notebooks/(\w+)$", (root / TOC).read_text(encoding="utf-8"))[-1]


def find_section(after: str, root: Path = ROOT) -> str:
    """The last section of the article that a chapter mirrors. Raises ChapterError where it mirrors none."""
    text = (root / SECTIONS).read_text(encoding="utf-8")
    rows = re.findall(r'(?ms)^section = "([\d.]+)"$(.*?)(?=^\[\[|\Z)', text)
    found = [section for section, row in rows if f'"ch-{label_of(after)}"' in row]
    if not found:
        raise ChapterError(f"AFTER is {after!r}, which {SECTIONS} does not name; expected a chapter with a section.")
    return found[-1]


def register(name: str, after: str, root: Path = ROOT) -> dict[Path, str]:
    """The texts of the files that list chapters, with this one behind another: {path: text}; nothing is written.

    Raises ChapterError where the other chapter is not listed as expected.
    """
    title = title_of(name)
    link = r"\{doc\}`[^`<]+<\.\./notebooks/" + after + ">`"
    changes: list[tuple[str, str, Callable[[re.Match], str]]] = [
        (
            TOC,
            rf"(?m)^( *)- file: notebooks/{after}\n +title: .*\n",
            lambda found: f"{found[0]}{found[1]}- file: notebooks/{name}\n{found[1]}  title: {title}\n",
        ),
        (INTRO, link, lambda found: f"{found[0]} · {{doc}}`{title} <../notebooks/{name}>`"),
        (INTRO, rf"\{{cpu-minutes\}}`(?:\w+ )*{after}(?= |`)", lambda found: f"{found[0]} {name}"),
        (
            SECTIONS,
            rf'(?ms)^section = "{re.escape(find_section(after, root))}"$[^\[]*^places = \[[^\]]*"ch-{label_of(after)}"',
            lambda found: f'{found[0]}, "ch-{label_of(name)}"',
        ),
    ]
    texts = {root / file: (root / file).read_text(encoding="utf-8") for file in (TOC, INTRO, SECTIONS)}
    for file, pattern, add in changes:
        texts[root / file], count = re.subn(pattern, add, texts[root / file], count=1)
        if not count:
            raise ChapterError(f"AFTER is {after!r}, which {file} does not list as it lists other chapters.")
    return texts


def fill_form(name: str, section: str, root: Path = ROOT) -> NotebookNode:
    """The form with the chapter's name, title and section of the article, and the book's address; not yet executed."""
    text = TEMPLATE.read_text(encoding="utf-8").replace(SAMPLE, name).replace(label_of(SAMPLE), label_of(name))
    text = text.replace(title_of(SAMPLE), title_of(name)).replace("§ 0.0", f"§ {section}")
    notebook = nbformat.reads(text, as_version=4)
    address = config_values((root / "_config.yml").read_text(encoding="utf-8"))
    for cell in notebook.cells:
        if book_metadata(cell).get("setup"):
            cell.source = SETUP_TITLE + setup_source(*address)
    return notebook


def make_chapter(name: str, after: str | None = None, root: Path = ROOT) -> dict[str, str]:
    """Writes and executes a new chapter, and lists it behind another, by default the last; returns what NEXT tells.

    Raises ChapterError, and what a run raises; then all files are as they were.
    """
    check_name(name, root)
    after = after or find_last(root)
    texts = register(name, after, root)
    section, path = find_section(after, root), root / NOTEBOOKS.name / f"{name}.ipynb"
    notebook = fill_form(name, section, root)
    before = {file: file.read_text(encoding="utf-8") for file in texts}
    try:
        write(notebook, path)  # where its digest is taken
        run = run_notebook(path, quick_environment())
        done = clean(run, Code(root).digest_chapter(name, "outputs"))
        say(done, run.said)
        write(done, path)
        for file, text in texts.items():
            write_text(text, file)
    except BaseException:  # an interruption by the author too
        for file, text in before.items():
            write_text(text, file)
        path.unlink(missing_ok=True)
        raise
    listed = ", ".join(str(file.relative_to(root)) for file in texts)
    return {"name": name, "title": title_of(name), "after": after, "section": section, "files": listed}


def main(arguments: list[str]) -> int:
    """Makes the chapter NAME [behind AFTER], tells what to do next, and returns the exit status."""
    name, *after = [one for one in arguments if one] or [""]
    try:
        made = make_chapter(name, *after[:1])
    except (ChapterError, CellExecutionError, DeadKernelError, SaysError) as error:
        print(f"{error}\nNothing was written.", file=sys.stderr)
        return 1
    print(NEXT.format(**made))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
