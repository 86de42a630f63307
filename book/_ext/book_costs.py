"""What the book costs, from what was measured: directives `chapter-costs`, `study-costs`, `training-bars`, three roles.

Measured numbers are never typed by hand. Those of the quick profile come from the metadata of the notebooks
(`book.cpu_seconds`, `book.peak_memory_mb`, by `make execute`), those of full runs and studies from their records in
results/full, those of a GPU from results/gpu.json (`make gpu`). What is of other code is marked or left out.
"""

import json
from pathlib import Path

from book_stale import mark
from book_tables import Table
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxRole

from helpers.book.full_runs import describe_machine
from tools.digest import Code

CPU_SECONDS, LONGER = 60, dict.fromkeys(("gan", "vae", "flow", "failures", "large_models", "prompting", "scaling"), 120)
MEMORY_MB = 3_000
BAR = {"ours": "ours", "products alone": "floor"}  # what has a colour of its own


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
        """The record of a full run or study; None where there is none."""
        return self.read_json("full", f"{name}.json")

    def read_json(self, *parts):
        """What a file of results holds; None where there is none."""
        file = Path(self.env.srcdir, "results", *parts)
        self.env.note_dependency(str(file))
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None


class ChapterCosts(CostTable):
    """One row for each notebook of the table of contents, in its order: time and memory in both profiles."""

    header = ("Chapter", "quick: CPU s", "quick: MB", "full: CPU s", "full: MB", "full: runs", "full: GPU s")

    def rows(self):
        gpu, code = self.read_json("gpu.json") or {}, Code()
        for docname in self.config.external_site_map:
            path = Path(self.env.doc2path(docname))
            if path.suffix != ".ipynb" or not path.exists():
                continue
            self.env.note_dependency(str(path))
            book = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("book", {})
            on_gpu = gpu.get(path.stem)
            if on_gpu and on_gpu["digest"] == code.digest_chapter(path.stem, "full"):
                told = f"{on_gpu['seconds']:.0f} ({on_gpu['machine']['gpu']})"
            else:
                told = "*not measured*"
            yield f"{{doc}}`/{docname}`", *tell_quick(path.stem, book), *self._full(path.stem), told

    def _full(self, name):
        record = self.read_record(name)
        if record is None:
            return "not run yet", "", ""
        runs = count_runs(record)
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


class TrainingBars(CostTable):
    """Images a second of each way to train one network, as bars on the scale of its fastest way, from the record."""

    header = ("How", "Images a second", "", "ms a step", "Times our time")
    option_spec = CostTable.option_spec | {"model": directives.unchanged_required}  # as the record names it

    def rows(self):
        record = self.read_record("training_speed")
        metrics, model = (record or {}).get("metrics", {}), self.options["model"]
        start = f"images_per_second/{model}, "
        speeds = {name.removeprefix(start): entry["value"] for name, entry in metrics.items() if name.startswith(start)}
        for way, speed in sorted(speeds.items(), key=lambda one: -one[1]):
            step = metrics[f"milliseconds_per_step/{model}, {way}"]["value"]
            ratio = metrics.get(f"ratio/{model}, {way}")
            times = f"{ratio['value']:.2f} ± {ratio['standard_error']:.2f}" if ratio else "1"
            named = " ".join(("bar", *filter(None, [BAR.get(way)])))
            bar = f'<span class="{named}" style="width: {speed / max(speeds.values()):.0%}"></span>'
            older = mark(self.env.app, "studies", "training_speed")
            yield f"**{way}**{older}" if way == "ours" else way, f"{speed:,.0f}", bar, f"{step:.1f}", times


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


class FullCost(SphinxRole):
    """Whole CPU minutes of one run of a chapter on MNIST, in a sentence: {full-minutes}`least` or `most` of them."""

    def run(self):
        minutes = []
        for path in sorted(Path(self.env.srcdir, "notebooks").glob("*.ipynb")):
            file = Path(self.env.srcdir, "results", "full", f"{path.stem}.json")
            self.env.note_dependency(str(file))
            if file.exists():
                record = json.loads(file.read_text(encoding="utf-8"))
                minutes.append(record["seconds"] / count_runs(record) / 60)
        return [nodes.Text(f"{max(1, {'least': min, 'most': max}[self.text](minutes)):.0f}")], []


def count_runs(record):
    """How many runs the record of a full run is of."""
    return max(metric["n"] for metric in record["metrics"].values())


def setup(app):
    app.add_role("cpu-seconds", QuickCost(1))
    app.add_role("cpu-minutes", QuickCost(60))
    app.add_role("full-minutes", FullCost())
    app.add_directive("chapter-costs", ChapterCosts)
    app.add_directive("study-costs", StudyCosts)
    app.add_directive("training-bars", TrainingBars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
