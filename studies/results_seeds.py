"""What the statements of § 5.4 of the article are judged by, over ten seeds: the record behind the chapter `results`.

Models, sizes and measures are the chapter's own: the study runs its cells up to `measured`. The settings are those of
the chapters on the two models, with fewer steps; none was chosen here.
"""

from tools.studies import run_cells

SEEDS = 10
SELECTION = "none"
CELLS = ("results", "measured")
UNITS = {
    "rank correlation of distance and steps": "correlation",
    "answers farther apart": "difference of probabilities",
}


def measure() -> dict[str, tuple[float, str]]:
    """Run the chapter with the seed in BOOK_SEED; return what it has measured, mostly shares and ratios."""
    return {name: (float(value), UNITS.get(name, "share")) for name, value in run_cells(*CELLS)["measured"].items()}
