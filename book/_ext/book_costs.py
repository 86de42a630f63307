"""The directives `chapter-costs`, `study-costs` and `benchmark-table`: what the book costs, from what was measured.

Measured numbers are never typed by hand. Those of the quick profile come from the metadata of the notebooks
(`book.seconds`, `book.peak_memory_mb`, written by `make execute`), those of full runs, studies and the benchmark from
their records in results/full. What was measured with other code than the one that stands is marked.
"""

import json
from pathlib import Path

from book_tables import Table

from tools.notebook_files import band_digest
from tools.studies import study_digest

OLDER = " (of earlier code)"


def read_quick(path):
    """(seconds, peak memory in MB) of a notebook in the quick profile, or None where they are not stored."""
    book = json.loads(Path(path).read_text(encoding="utf-8"))["metadata"].get("book", {})
    if "seconds" not in book or "peak_memory_mb" not in book:
        return None
    return book["seconds"], book["peak_memory_mb"]


class CostTable(Table):
    """A table whose rows come from records."""

    def read_record(self, name):
        """The record of a full run, study or benchmark; None where there is none."""
        file = Path(self.env.srcdir, "results", "full", f"{name}.json")
        self.env.note_dependency(str(file))
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


class ChapterCosts(CostTable):
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


class StudyCosts(CostTable):
    """One row for each study: what all of its runs took together, where and when."""

    header = ("Study", "CPU minutes in all", "Peak memory, MB", "Measured on", "Date")

    def rows(self):
        for path in sorted(Path(self.env.srcdir, "studies").glob("*.py")):
            record = self.read_record(path.stem)
            if record:
                older = "" if record["code_digest"] == study_digest(path) else OLDER
                minutes = f"{record['seconds'] / 60:,.0f}{older}"
                yield f"`{path.stem}`", minutes, f"{record['peak_memory_mb']:,}", record["device"], record["date"]


class BenchmarkTable(CostTable):
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
