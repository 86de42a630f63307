"""The directive `chapter-times`: each chapter's measured time and memory, as `make execute` stored them.

Measured numbers are never typed by hand: these are read from the metadata of the notebooks (`book.seconds` and
`book.peak_memory_mb`).
"""

import json
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


def measured(path):
    """(seconds, peak memory in MB) of the notebook at `path`, or None where they are not stored."""
    book = json.loads(Path(path).read_text(encoding="utf-8"))["metadata"].get("book", {})
    if "seconds" not in book or "peak_memory_mb" not in book:
        return None
    return book["seconds"], book["peak_memory_mb"]


class ChapterTimes(SphinxDirective):
    """A table with one row for each notebook of the table of contents, in its order."""

    def run(self):
        rows = []
        for docname in self.config.external_site_map:
            path = Path(self.env.doc2path(docname))
            if path.suffix == ".ipynb" and path.exists():
                self.env.note_dependency(str(path))
                if numbers := measured(path):
                    rows.append((docname, *numbers))
        if not rows:
            return [nodes.paragraph(text="No chapter has stored its time yet.")]
        lines = [":::{list-table}", ":header-rows: 1", "", "* - Chapter", "  - Time, s", "  - Peak memory, MB"]
        for docname, seconds, memory in rows:
            lines += [f"* - {{doc}}`/{docname}`", f"  - {seconds:.0f}", f"  - {memory:,.0f}"]
        holder = nodes.Element()
        table = StringList([*lines, ":::"], source=self.env.doc2path(self.env.docname))
        self.state.nested_parse(table, self.content_offset, holder)
        return holder.children


def setup(app):
    app.add_directive("chapter-times", ChapterTimes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
