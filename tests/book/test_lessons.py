"""The form of a lesson: a chapter with nothing to complain of, and for each check the ways to break it."""

from collections.abc import Callable
from pathlib import Path

import lesson_form as form
import notebook_structure as structure
import pytest
from chapter_edits import ERROR, adding, appending_output, printing, removing, replacing, setting
from lesson_form import LESSON_CHECKS
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools.notebook_files import SETUP_TITLE, code_cells, setup_source, setup_values, write
from tools.set_repository import chapter_with

# A good lesson

OPENING = """(ch-example)=
# An example

**How good can a number be?**

You will be able to

- one;
- two;
- three.

You need NumPy. The chapter takes 2 minutes on a CPU.
It mirrors § 5.1 and § 5.2 of the article."""

SAYS = """The GAN reaches 3.2, noise 9.4 and real digits 2.2; the VAE reaches 4.1, blurred means 7.3 and copies 1.5.
It is ahead in 9 of 10 seeds, by 31 %."""
BOUND = {
    "3.2": "result",
    "9.4": "noise",
    "2.2": "real",
    "4.1": "vae",
    "7.3": "means",
    "1.5": "copies",
    "9 of 10": "wins",
    "31 %": "lead",
}
SAID = {
    "result": 3.24,
    "noise": 9.4,
    "real": 2.2,
    "vae": 4.1,
    "means": 7.3,
    "copies": 1.5,
    "wins": [9.0, 10.0],
    "lead": 0.31,
}

ARTICLE = """:::{admonition} What the article says
:class: article

The article says in § 5.1, and the article is right there, that § 5.2 holds; the article is wrong there.
:::"""

PRODUCT = """:::{admonition} For your product
:class: product

Watch the distance. Do not ship above 5.
:::"""

EXERCISE = """def answer():
    # your code
    return 0
    # check


print("passed" if answer() == 42 else "not yet")"""

SOLUTION = """````{dropdown} Hint
Think.
````

````{dropdown} Solution
```python
    return 42
```
````"""

JUDGEMENT = """**3. Judgement.** Which would you ship?

````{dropdown} Answer
The one that you measured.
````"""

SUMMARY = """## Summary

- One, as {numref}`fig-example` shows.
- Two, as {ref}`the drawing <fig-example>` shows,
  and more.
- Three: {numref}`fig-example`.

That is all."""


def good_lesson() -> NotebookNode:
    picture = new_output("display_data", {"image/png": "", "text/plain": "<Figure size 100x100 with 1 Axes>"})
    about = {"figure": {"name": "fig-example", "caption": "It ends at 3.2."}, "image": {"alt": "A curve."}}
    figure = {"mystnb": about, "tags": ["hide-input"], "book": {"record_figure": True, "says": {"3.2": "result"}}}
    figure["book"]["said"] = {"result": 3.24}
    fold = {"tags": ["hide-cell"], "cellView": "form"}
    names = "\n".join(f"{name} = 0" for name in SAID)
    table = new_output("display_data", {"text/html": "<table class='checks'></table>", "text/plain": "1.0 of 1"})
    chapter = new_notebook(
        cells=[
            new_markdown_cell(OPENING),
            new_code_cell(SETUP_TITLE + setup_source("", "main"), metadata={**fold, "book": {"setup": True}}),
            new_code_cell("# @title Imports\nimport math", metadata={**fold, "book": {"imports": True}}),
            new_code_cell(
                "# @title Sizes\nconfig = SimpleNamespace(rate=0.5)", metadata={**fold, "book": {"config": True}}
            ),
            new_code_cell("draw()", metadata=figure, outputs=[picture]),
            printing(names, "3.14\n", tags=["nbval-ignore-output"]),
            new_markdown_cell(f"## Measure\n\n{SAYS}", metadata={"book": {"says": dict(BOUND), "said": dict(SAID)}}),
            *[new_markdown_cell("A paragraph with a rate of 0.5, and the article.") for _ in range(4)],
            new_markdown_cell(PRODUCT),
            new_markdown_cell(ARTICLE),
            new_markdown_cell("## Exercises\n\n**1. Warm-up.** Do it."),
            printing(EXERCISE, "not yet\n", book={"exercise": "example-1"}),
            new_markdown_cell(f"{SOLUTION}\n\n**2. Experiment.** What do you expect? Do it."),
            printing(EXERCISE, "not yet\n", book={"exercise": "example-2"}),
            new_markdown_cell(SOLUTION),
            new_markdown_cell(JUDGEMENT),
            new_markdown_cell(SUMMARY),
            new_markdown_cell("## Further reading\n\n{cite:t}`somebody` has 3.7."),
            new_markdown_cell("## Checks"),
            printing('reference.verdict("pi", 3.14)', "EXAMPLE pi: within the reference band\n"),
            printing('reference.check("pi above 3", math.pi > 3)', "pi above 3: True\n"),
            new_code_cell("reference.show_checks()", metadata={"tags": ["nbval-ignore-output"]}, outputs=[table]),
        ],
        metadata={"book": {"digest": "0", "seconds": 1.0, "cpu_seconds": 100.0, "peak_memory_mb": 1}},
    )
    chapter.cells[7].source = chapter.cells[7].source.replace(", and the article", "")
    for count, cell in enumerate(code_cells(chapter), start=1):
        cell.execution_count = count
    return chapter


PICTURE = new_output("display_data", {"image/png": ""})
TITLE, SETUP, IMPORTS, CONFIG, FIGURE, RAW, PROSE, PLAIN = range(8)
PRODUCT_BOX, ARTICLE_BOX, FIRST, WARM_UP, HINT, EXPERIMENT, LAST_HINT, JUDGED, SUMMED = range(11, 20)
READING, CHECKS, VERDICT, CHECK, TABLE = range(20, 25)


def moving(start: int, end: int) -> Callable[[NotebookNode], None]:
    return lambda chapter: chapter.cells.insert(end, chapter.cells.pop(start))


def inserting(place: int, cell: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda chapter: chapter.cells.insert(place, cell)


def text(index: int, source: str) -> Callable[[NotebookNode], None]:
    return setting(source, "cells", index, "source")


def tagged(index: int, *tags: str) -> Callable[[NotebookNode], None]:
    return setting(list(tags), "cells", index, "metadata", "tags")


def shown(html: str) -> NotebookNode:
    return new_output("display_data", {"text/html": html, "text/plain": ""})


LONG = "\n".join(f"x{number} = {number}" for number in range(21))
BROKEN = [
    (form.opening, replacing(TITLE, "(ch-example)=\n", "")),
    (form.opening, replacing(TITLE, "number be?", "number be.")),
    (form.opening, replacing(TITLE, "- three.", "- three;\n- four.")),
    (form.opening, replacing(TITLE, "- three.", "")),
    (form.opening, replacing(TITLE, "You need", "It needs")),
    (form.opening, replacing(TITLE, "2 minutes on a CPU", "a while")),
    (form.opening, replacing(TITLE, "2 minutes", "9 minutes")),
    (form.opening, replacing(TITLE, "5.1 and", "5.1.\nAnd")),
    (form.opening, replacing(TITLE, "§", "section")),
    (form.folded, tagged(SETUP)),
    (form.folded, tagged(IMPORTS, "hide-input")),
    (form.folded, lambda chapter: chapter.cells[CONFIG].metadata.pop("cellView")),
    (form.folded, replacing(SETUP, SETUP_TITLE, "")),
    (form.folded, replacing(SETUP, "Setup", "Start")),
    (form.folded, replacing(CONFIG, "# @title Sizes\n", "")),
    (form.folded, setting("form", "cells", RAW, "metadata", "cellView")),
    (form.first_picture, setting([], "cells", FIGURE, "outputs")),
    (form.first_picture, text(FIGURE, 'page.show_drawing("gan")')),
    (form.first_picture, setting({"record": "gan"}, "cells", FIGURE, "metadata", "book")),
    (form.first_picture, inserting(FIGURE, new_markdown_cell("word " * 301))),
    (form.first_picture, inserting(FIGURE, new_code_cell("\n".join(["x = 1"] * 31)))),
    (form.first_picture, inserting(FIGURE, new_code_cell("\n".join(["x = 1"] * 71)))),
    (form.lines, text(RAW, LONG)),
    (form.lines, text(WARM_UP, LONG + "\n" + LONG)),
    (form.lines, text(RAW, f"x = {'1' * 90}")),
    (form.lines, setting("1" * 89 + "\n", "cells", RAW, "outputs", 0, "text")),
    (form.lines, appending_output(RAW, new_output("execute_result", {"text/plain": "1" * 89}, execution_count=1))),
    (form.lines, appending_output(RAW, {**ERROR, "traceback": ["x" * 89]})),
    (form.size, removing(PLAIN)),
    (form.size, adding(*[new_markdown_cell("More.") for _ in range(40)])),
    (form.size, setting("x" * form.MAX_BYTES, "cells", PLAIN, "source")),
    (form.judgements, text(CHECKS, "## The checks")),
    (form.judgements, text(CHECKS, "A paragraph.")),
    (form.judgements, text(CHECKS, "A last word.\n\n## Checks")),
    (form.judgements, moving(READING, TABLE)),
    (form.judgements, moving(VERDICT, PLAIN)),
    (form.judgements, moving(CHECK, PLAIN)),
    (form.judgements, text(RAW, 'held = reference.excludes("pi", 3)')),
    (form.judgements, text(RAW, "judge = reference.check")),
    (form.judgements, setting("ahead: True\n", "cells", RAW, "outputs", 0, "text")),
    (form.judgements, setting("ahead: yes\n", "cells", RAW, "outputs", 0, "text")),
    (form.judgements, setting("is that so? False.\nnext\n", "cells", RAW, "outputs", 0, "text")),
    (form.judgements, setting("ahead ✓\n", "cells", RAW, "outputs", 0, "text")),
    (form.judgements, appending_output(RAW, shown("<td>True</td>"))),
    (form.judgements, setting("A b: within the reference band\n", "cells", RAW, "outputs", 0, "text")),
    (form.judgements, removing(TABLE)),
    (form.judgements, moving(TABLE, VERDICT)),
    (form.judgements, tagged(TABLE)),
    (form.judgements, replacing(TABLE, "reference", 'reference.check("x", True)\nreference')),
    (form.judgements, setting([], "cells", TABLE, "outputs")),
    (form.no_source, text(RAW, "print(inspect.getsource(math.pi))")),
    (form.article, removing(ARTICLE_BOX)),
    (form.article, inserting(PLAIN, new_markdown_cell(ARTICLE))),
    (form.article, replacing(ARTICLE_BOX, ":class: article", ":class: note")),
    (form.article, text(PLAIN, "As § 5.1 says.")),
    (form.article, text(PLAIN, "As the\nArticle says.")),
    (form.article, text(PLAIN, "As {cite:t}`zenandart` says.")),
    (form.article, text(PLAIN, ":::{admonition} Note\n:class: note\n\nThe article.\n:::")),
    (form.article, setting("As § 5.1 says.", "cells", FIGURE, "metadata", "mystnb", "figure", "caption")),
    (form.product, removing(PRODUCT_BOX)),
    (form.product, replacing(PRODUCT_BOX, ":class: product", ":class: tip")),
    (form.product, replacing(PRODUCT_BOX, " Do not ship above 5.", "")),
    (form.product, replacing(PRODUCT_BOX, "Watch the distance.", "Watch it. " * 6)),
    (form.exercise_form, replacing(FIRST, "**1. Warm-up.**", "**1.**")),
    (form.exercise_form, replacing(FIRST, "**1.", "**2.")),
    (form.exercise_form, replacing(HINT, "Experiment", "Warm-up")),
    (form.exercise_form, replacing(HINT, "What do you expect? ", "")),
    (form.exercise_form, replacing(HINT, "} Hint", "} Clue")),
    (form.exercise_form, replacing(HINT, "Think.\n", "")),
    (form.exercise_form, replacing(LAST_HINT, "````{dropdown} Hint\nThink.\n````\n\n", "")),
    (form.exercise_form, replacing(LAST_HINT, "} Solution", "} Help")),
    (form.exercise_form, replacing(LAST_HINT, "return 42", "return (")),
    (form.exercise_form, text(LAST_HINT, "\n\n".join(reversed(SOLUTION.split("\n\n"))))),
    (form.exercise_form, setting("passed\n", "cells", WARM_UP, "outputs", 0, "text")),
    (form.exercise_form, replacing(WARM_UP, "# check", "# see")),
    (form.exercise_form, setting("example-2", "cells", WARM_UP, "metadata", "book", "exercise")),
    (form.exercise_form, setting({}, "cells", EXPERIMENT, "metadata")),
    (form.exercise_form, removing(JUDGED)),
    (form.exercise_form, replacing(JUDGED, "} Answer", "} Solution")),
    (form.exercise_form, replacing(JUDGED, "The one that you measured.\n", "")),
    (form.exercise_form, replacing(JUDGED, "ship?", "ship?\n\n```python\nx\n```")),
    (form.ending, moving(SUMMED, READING)),
    (form.ending, text(CHECKS, "## The checks")),
    (form.ending, replacing(SUMMED, "- Three: {numref}`fig-example`.\n", "")),
    (form.ending, replacing(SUMMED, "Three: {numref}`fig-example`", "Three")),
    (form.ending, replacing(SUMMED, "Three: {numref}`fig-example`", "Three: {numref}`fig-other`")),
    (form.ending, replacing(READING, "{cite:t}", "")),
    (form.numbers, replacing(PROSE, "3.2", "3.3")),
    (form.numbers, setting(3.31, "cells", PROSE, "metadata", "book", "said", "result")),
    (form.numbers, setting({}, "cells", PROSE, "metadata", "book", "said")),
    (form.numbers, text(PLAIN, "It reaches 5.5.")),
    (form.numbers, replacing(FIRST, "Do it.", "It reaches 5.5.")),
    (form.numbers, setting("It ends at 3.4.", "cells", FIGURE, "metadata", "mystnb", "figure", "caption")),
    (form.numbers, replacing(CONFIG, "0.5", "0.7")),
    (form.numbers, replacing(RAW, "result = 0", "other = 0")),
    (form.numbers, lambda chapter: chapter.cells.__setitem__(PROSE, new_markdown_cell("Nothing."))),
]


@pytest.mark.parametrize("check", [*structure.CHECKS, *LESSON_CHECKS], ids=lambda check: check.__name__)
def test_nothing_is_held_against_a_good_lesson(check: Callable[[NotebookNode], list[str]]) -> None:
    assert check(good_lesson()) == []


@pytest.mark.parametrize(
    ("check", "breaking"), BROKEN, ids=[f"{check.__name__}-{i}" for i, (check, _) in enumerate(BROKEN)]
)
def test_a_broken_lesson_is_caught(
    check: Callable[[NotebookNode], list[str]], breaking: Callable[[NotebookNode], None]
) -> None:
    chapter = good_lesson()
    breaking(chapter)
    assert check(chapter) != []


def test_every_check_of_a_lesson_is_seen_to_fail() -> None:
    assert {check for check, _ in BROKEN} == set(LESSON_CHECKS)


SHOWN = new_code_cell(
    "page.show_source(losses.x)",
    metadata={"book": {"shows_source": True}, "tags": ["nbval-ignore-output"]},
    outputs=[shown("a = <span>True</span>")],
)
ALLOWED = [
    (form.judgements, inserting(PLAIN, SHOWN)),
    (form.first_picture, setting([shown("<p><img src='data:image/png;base64,'></p>")], "cells", FIGURE, "outputs")),
    (form.first_picture, inserting(FIGURE, new_code_cell("x = 1\n" * 80, metadata={"tags": ["hide-input"]}))),
    (form.lines, text(VERDICT, LONG)),
    (form.lines, text(VERDICT, f"x = {'1' * 88}")),
    (form.lines, text(FIGURE, f"x = {'1' * 88}")),
    (form.lines, text(WARM_UP, LONG)),
    (form.exercise_form, inserting(HINT + 1, new_markdown_cell("Some words."))),
    (form.numbers, replacing(READING, "3.7", "3.7 or 12 %")),
]


@pytest.mark.parametrize(
    ("check", "change"), ALLOWED, ids=[f"{check.__name__}-{i}" for i, (check, _) in enumerate(ALLOWED)]
)
def test_what_looks_like_a_fault_and_is_none(
    check: Callable[[NotebookNode], list[str]], change: Callable[[NotebookNode], None]
) -> None:
    chapter = good_lesson()
    change(chapter)
    assert check(chapter) == []


def test_a_titled_setup_cell_keeps_its_title(tmp_path: Path) -> None:
    path = tmp_path / "small.ipynb"
    write(new_notebook(cells=[good_lesson().cells[SETUP]]), path)
    assert setup_values(good_lesson().cells[SETUP].source) == ("", "main")
    changed = chapter_with(path, "https://github.com/a/b", "main")
    assert "# @title Setup" in changed
    assert "https://github.com/a/b" in changed
