"""How the tests of the anatomy make a chapter, and break it in one place."""

from collections.abc import Callable

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output

ERROR = new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])


def printing(source: str, text: str, **metadata: object) -> NotebookNode:
    return new_code_cell(source, metadata=metadata, outputs=[new_output("stream", name="stdout", text=text)])


def setting(value: object, *keys: str | int) -> Callable[[NotebookNode], None]:
    """A change that puts the value where the keys lead: `setting([], "cells", 3, "outputs")`."""

    def change(chapter: NotebookNode) -> None:
        place = chapter
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return change


def replacing(index: int, old: str, new: str) -> Callable[[NotebookNode], None]:
    def change(chapter: NotebookNode) -> None:
        assert old in chapter.cells[index].source
        chapter.cells[index].source = chapter.cells[index].source.replace(old, new)

    return change


def removing(index: int) -> Callable[[NotebookNode], None]:
    return lambda chapter: chapter.cells.pop(index)


def adding(*cells: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda chapter: chapter.cells.extend(cells)


def appending_output(index: int, output: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda chapter: chapter.cells[index].outputs.append(output)
