"""The directives `chapter-costs`, `study-costs` and `benchmark-table`: what the book costs, from what was measured.

Measured numbers are never typed by hand. Those of the quick profile come from the metadata of the notebooks
(`book.seconds`, `book.peak_memory_mb`, written by `make execute`), those of full runs, studies and the benchmark from
their records in results/full. What was measured with other code than the one that stands is marked.
"""

import json
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from tools.notebook_files import band_digest
from tools.studies import study_digest

OLDER = " (of earlier code)"


def read_quick(path):
    """(seconds, peak memory in MB) of a notebook in the quick profile, or None where they are not stored."""
    book = json.loads(Path(path).read_text(encoding="utf-8"))["metadata"].get("book", {})
    if "seconds" not in book or "peak_memory_mb" not in book:
        return None
    return book["seconds"], book["peak_memory_mb"]


class Table(SphinxDirective):
    """A table made of rows of text, with a name and a caption; what a subclass reads, it notes as a dependency."""

    option_spec = {"name": directives.unchanged_required, "caption": directives.unchanged_required}  # noqa: RUF012
    header = ()
    empty = "Nothing has been measured yet."

    def read_record(self, name):
        """The record of a full run, study or benchmark; None where there is none."""
        file = Path(self.env.srcdir, "results", "full", f"{name}.json")
        self.env.note_dependency(str(file))
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def rows(self):
        """Yields the rows, each as many texts as the header has."""
        raise NotImplementedError

    def run(self):
        rows = list(self.rows())
        if not rows:
            return [nodes.paragraph(text=self.empty)]
        lines = [
            f":::{{list-table}} {self.options['caption']}",
            ":header-rows: 1",
            f":name: {self.options['name']}",
            "",
        ]
        for row in (self.header, *rows):
            lines += [f"{'* -' if place == 0 else '  -'} {text}" for place, text in enumerate(row)]
        holder = nodes.Element()
        table = StringList([*lines, ":::"], source=self.env.doc2path(self.env.docname))
        self.state.nested_parse(table, self.content_offset, holder)
        return holder.children


class ChapterCosts(Table):
    """One row for each notebook of the table of contents, in its order: time and memory in both profiles."""

    header = ("Chapter", "quick: s", "quick: MB", "full: s a run", "full: MB", "full: runs")

    def rows(self):
        for docname in self.config.external_site_map:
            path = Path(self.env.doc2path(docname))
            if path.suffix != ".ipynb" or not path.exists():
                continue
            self.env.note_dependency(str(path))
            quick = read_quick(path)
            record = self.read_record(path.stem)
            if quick:
                seconds, memory = quick
                yield (f"{{doc}}`/{docname}`", f"{seconds:.0f}", f"{memory:,.0f}", *self._full(record, path))

    def _full(self, record, path):
        if record is None:
            return "not run yet", "", ""
        runs = max(metric["n"] for metric in record["metrics"].values())
        older = "" if record["code_digest"] == band_digest(path, "full") else OLDER
        return f"{record['seconds'] / runs:,.0f}", f"{record['peak_memory_mb']:,}", f"{runs}{older}"


class StudyCosts(Table):
    """One row for each study: what all of its runs took together, where and when."""

    header = ("Study", "CPU minutes in all", "Peak memory, MB", "Measured on", "Date")

    def rows(self):
        for path in sorted(Path(self.env.srcdir, "studies").glob("*.py")):
            record = self.read_record(path.stem)
            if record:
                older = "" if record["code_digest"] == study_digest(path) else OLDER
                minutes = f"{record['seconds'] / 60:,.0f}{older}"
                yield f"`{path.stem}`", minutes, f"{record['peak_memory_mb']:,}", record["device"], record["date"]


class BenchmarkTable(Table):
    """The rows that `make benchmark` printed when it wrote its record."""

    header = ("What", "Measured", "Aim", "")

    def rows(self):
        record = self.read_record("benchmark")
        for row in record["rows"] if record else ():
            yield row["what"], row["measured"], row["aim"], {None: "", True: "met", False: "**missed**"}[row["met"]]


def setup(app):
    app.add_directive("chapter-costs", ChapterCosts)
    app.add_directive("study-costs", StudyCosts)
    app.add_directive("benchmark-table", BenchmarkTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
