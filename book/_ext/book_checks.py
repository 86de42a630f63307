"""Fold the section `Checks` of a chapter, and say under its title how many results of its run lie in their bands.

The line under the title leads to the section. The script `checks.js` opens the fold for a link that leads into it, and
for printing; without it, the fold opens by hand. A folded cell is named as it is in Colab, by its line `# @title`; the
code of a figure or table is folded below it, since a reader looks first.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode

from helpers.book.bands import WITHIN
from tools.notebook_files import read, verdict_lines


class Fold(nodes.container):
    """What stands under a heading, folded away; `summary` is what shows."""


def open_fold(self, node):
    self.body.append(f'<details class="fold"><summary>{self.encode(node["summary"])}</summary>\n')


def close_fold(self, node):
    self.body.append("</details>\n")


def find_title(cell):
    """What a folded cell is called; None where it is not folded."""
    if title := re.match(r"# @title (.+)", "".join(cell["source"])):
        return title[1].strip()
    if "hide-input" in cell["metadata"].get("tags", []):
        return f"Code of this {'figure' if 'figure' in cell['metadata'].get('mystnb', {}) else 'output'}"
    return None


def name_folds(app, docname, source):
    """Name each folded cell by its title, or by what its code draws, in place of "Show code cell content"."""
    if Path(app.env.doc2path(docname)).suffix != ".ipynb":
        return
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and (title := find_title(cell)):
            about = cell["metadata"].setdefault("mystnb", {})
            about["code_prompt_show"] = about["code_prompt_hide"] = title
    source[0] = json.dumps(notebook, ensure_ascii=False)


def find_checks(doctree):
    """The section with the heading `Checks`; None in a page that has none."""
    named = (one for one in doctree.findall(nodes.section) if one.next_node(nodes.title).astext() == "Checks")
    return next(named, None)


def count_within(lines):
    """(how many verdict lines say that a result lies in its band, how many there are)."""
    return sum(line.endswith(f": {WITHIN}") for line in lines), len(lines)


def status_of(app, doctree):
    """The nodes of the line about the stored run, with a link to its checks; none in a page without any."""
    path, section = Path(app.env.doc2path(app.env.docname)), find_checks(doctree)
    lines = verdict_lines(read(path)) if path.suffix == ".ipynb" and section is not None else []
    if not lines:
        return []
    within, count = count_within(lines)
    link = nodes.reference(
        "", f"{within} of {count} results within their bands", refid=section["ids"][0], internal=True
    )
    return [nodes.Text("This run: "), link, nodes.Text(". ")]


def fold_checks(app, doctree):
    """Put all that the section holds behind its heading into a fold."""
    section = find_checks(doctree)
    if section is None:
        return
    title, *rest = section.children
    fold = Fold(summary="Every result, its band, and the lines that a test compares")
    section.children = [title]
    fold += rest
    section += fold


def show_before_code(app, doctree, docname):
    """Put what a cell shows before its folded code."""
    for cell in doctree.findall(nodes.container):
        if "tag_hide-input" in cell["classes"]:
            cell.children.sort(key=lambda child: isinstance(child, HideCodeCellNode))


def setup(app):
    skip = (lambda self, node: None, lambda self, node: None)
    app.add_node(Fold, html=(open_fold, close_fold), text=skip, latex=skip, man=skip, texinfo=skip)
    app.add_js_file("checks.js", loading_method="defer")
    app.connect("source-read", name_folds)
    app.connect("doctree-read", fold_checks, priority=600)  # after book_stale, which asks for the section
    app.connect("doctree-resolved", show_before_code)  # MyST-NB has folded the code by then
    return {"parallel_read_safe": True, "parallel_write_safe": True}
