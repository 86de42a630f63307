"""Mark what was measured with other code than the one that stands: `tools.stale` names it, the pages say so.

A chapter whose outputs, bands or shown records are older says so in the line under its title, behind what book_checks
tells there of its run; a table of costs, `mark`.
"""

from pathlib import Path

from book_checks import status_of
from docutils import nodes

from tools.digest import find_unpinned
from tools.notebook_files import book_metadata, code_cells, read
from tools.stale import find_stale

OLDER = " (of earlier code)"
TOLD = {"outputs": "its outputs", "bands": "its reference bands", "full": "its full run", "studies": "the study {}"}


def name_stale(app):
    """Keep what is stale, by (kind, name); nothing is judged where other versions are installed than pinned."""
    app.stale = set() if find_unpinned() else {(one.kind, one.name) for one in find_stale()}


def mark(app, kind, name):
    """What stands behind a number of earlier code; nothing behind others."""
    return OLDER if (kind, name) in app.stale else ""


def mark_page(app, doctree):
    """Put one line under the title of a chapter: what its run gave, and what it shows of earlier code."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    records = dict.fromkeys(book_metadata(cell).get("record") for cell in code_cells(read(path)))
    wanted = [("outputs", path.stem), ("bands", path.stem)]
    wanted += [(kind, name) for name in records for kind in ("full", "studies")]
    told = [TOLD[kind].format(name) for kind, name in wanted if (kind, name) in app.stale]
    title = next(iter(doctree.findall(nodes.title)), None)
    parts = status_of(app, doctree)
    if told:
        parts.append(nodes.Text(f"Measured with earlier code: {', '.join(told)}."))
    if parts and title is not None:
        line = nodes.paragraph("", "", *parts, classes=["status"])
        title.parent.insert(title.parent.index(title) + 1, line)


def setup(app):
    app.connect("builder-inited", name_stale)
    app.connect("doctree-read", mark_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
