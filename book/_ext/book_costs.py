"""What the book costs, from what was measured: directives `chapter-costs`, `study-costs`, `benchmark-table`, two roles.

Measured numbers are never typed by hand. Those of the quick profile come from the metadata of the notebooks
(`book.cpu_seconds`, `book.peak_memory_mb`, by `make execute`), those of full runs and studies from their records in
results/full. What was measured with other code than the one that stands is marked.
"""

import json
from pathlib import Path

from book_stale import mark
from book_tables import Table
from docutils import nodes
from sphinx.util.docutils import SphinxRole

from helpers.book.records import describe_machine
from studies.training_speed_table import list_rows

CPU_SECONDS, LONGER = 60, dict.fromkeys(("gan", "vae", "flow", "failures", "large_models", "prompting", "scaling"), 120)
MEMORY_MB = 3_000


def tell_quick(name, book):
    """(CPU seconds, peak memory in MB) of a chapter in quick, as texts; in bold where it is over its budget."""
    if "cpu_seconds" not in book:
        return ["not run yet", ""]
    seconds, memory = book["cpu_seconds"], book["peak_memory_mb"]
    told = ((f"{seconds:.0f}", seconds > LONGER.get(name, CPU_SECONDS)), (f"{memory:,}", memory > MEMORY_MB))
    return [f"**{text}**" if over else text for text, over in told]


class CostTable(Table):
    """A table whose rows come from records."""

    def read_record(self, name):
        """The record of a full run, study or benchmark; None where there is none."""
        file = Path(self.env.srcdir, "results", "full", f"{name}.json")
        self.env.note_dependency(str(file))
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


class ChapterCosts(CostTable):
    """One row for each notebook of the table of contents, in its order: time and memory in both profiles."""

    header = ("Chapter", "quick: CPU s", "quick: MB", "full: CPU s a run", "full: MB", "full: runs")

    def rows(self):
        for docname in self.config.external_site_map:
            path = Path(self.env.doc2path(docname))
            if path.suffix != ".ipynb" or not path.exists():
                continue
            self.env.note_dependency(str(path))
            book = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("book", {})
            yield f"{{doc}}`/{docname}`", *tell_quick(path.stem, book), *self._full(path.stem)

    def _full(self, name):
        record = self.read_record(name)
        if record is None:
            return "not run yet", "", ""
        runs = max(metric["n"] for metric in record["metrics"].values())
        return (
            f"{record['seconds'] / runs:,.0f}",
            f"{record['peak_memory_mb']:,}",
            f"{runs}{mark(self.env.app, 'full', name)}",
        )


class StudyCosts(CostTable):
    """One row for each study: what all of its runs took together, where and when."""

    header = ("Study", "CPU minutes in all", "Peak memory, MB", "Measured on", "Date")

    def rows(self):
        for path in sorted(Path(self.env.srcdir, "studies").glob("*.py")):
            record = self.read_record(path.stem)
            if record:
                minutes = f"{record['seconds'] / 60:,.0f}{mark(self.env.app, 'studies', path.stem)}"
                machine = record.get("device") or describe_machine(record["machine"])
                yield f"`{path.stem}`", minutes, f"{record['peak_memory_mb']:,}", machine, record["date"]


class BenchmarkTable(CostTable):
    """The rows that `make benchmark` prints, from its record."""

    header = ("What", "Measured", "Aim", "")

    def rows(self):
        if self.read_record("training_speed"):
            older = mark(self.env.app, "studies", "training_speed")
            for row in list_rows():
                verdict = {None: "", True: f"met{older}", False: f"**missed**{older}"}[row.met]
                yield row.what, row.measured, row.aim, verdict


class QuickCost(SphinxRole):
    """What chapters take in quick, in a sentence: {cpu-minutes}`gan vae`, or of `all`, or of the `least` or `most`.

    CPU seconds on one thread, or whole minutes of them.
    """

    def __init__(self, seconds_in_one):
        self.seconds_in_one = seconds_in_one

    def run(self):
        seconds = {path.stem: self._read(path) for path in sorted(Path(self.env.srcdir, "notebooks").glob("*.ipynb"))}
        chosen = {"all": list(seconds.values()), "least": [min(seconds.values())], "most": [max(seconds.values())]}
        taken = chosen.get(self.text) or [seconds[name] for name in self.text.split()]
        return [nodes.Text(f"{sum(taken) / self.seconds_in_one:.0f}")], []

    def _read(self, path):
        self.env.note_dependency(str(path))
        return json.loads(path.read_text(encoding="utf-8"))["metadata"]["book"]["cpu_seconds"]


def setup(app):
    app.add_role("cpu-seconds", QuickCost(1))
    app.add_role("cpu-minutes", QuickCost(60))
    app.add_directive("chapter-costs", ChapterCosts)
    app.add_directive("study-costs", StudyCosts)
    app.add_directive("benchmark-table", BenchmarkTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
