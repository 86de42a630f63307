"""How often a training history tells what went wrong: the record behind the chapter `failures`.

Each seed trains the chapter's four recipes with the chapter's own code, and `diagnosis.diagnose` names what it sees in
the histories. The true kind is that of the recipe; the scorecard, which sees samples and no history, must confirm it.
The seeds from 0 on are held back. Recipes and thresholds were chosen on seeds from 100 on; five of those are measured
again, and their metrics end in ", chosen on". Five other seeds train STRANGERS, recipes that nothing was chosen on and
that have no true kind; what the scorecard says of them stands beside what was said of their histories.
"""

import numpy as np

from helpers import data, diagnosis, scorecard
from tools.studies import run_cells

SEEDS = 10
SELECTION = "none"  # by other seeds, not by another split
CELLS = ("failures", "train")
CHOSEN_ON, AGAIN = 100, 5  # the first of the seeds on which thresholds were chosen, and how many are measured again
STRANGERS = {  # as the chapter's recipes: rate of generator, of discriminator; penalty; share of steps
    "no penalty": (1, 1, 0.0, 1.0),
    "generator three times as fast": (1, 1 / 3, 0.0, 1.0),
    "both too slow": (1 / 20, 1 / 20, 0.5, 1.0),
}
SCORES = {"frechet": "squared feature units", "told_apart": "share of pairs"}


def measure() -> dict[str, tuple[float, str]]:
    """Train every recipe with the seed in BOOK_SEED, and either with one above CHOSEN_ON, too, or the strangers."""
    names = run_cells(*CELLS)
    digits, seed = names["digits"], names["settings"].seed
    scorer = scorecard.Scorer(digits)
    labels = digits.test.labels[: scorer.count]
    trivial = scorer.score(data.draw_class_gaussians(digits.train, labels, seed=3))
    found = {}
    for kind in names["recipes"]:
        found |= measure_kind(names["train"], scorer, trivial, kind, seed, "")
        if seed < AGAIN:
            found |= measure_kind(names["train"], scorer, trivial, kind, CHOSEN_ON + seed, ", chosen on")
    if seed >= AGAIN:
        names["recipes"].update(STRANGERS)
        for name in STRANGERS:
            found |= describe(name, *run(names["train"], scorer, name, seed))
    return found


def run(train, scorer, kind, seed, **options) -> tuple[dict, scorecard.Score]:
    """Train one recipe and return its history and the scorecard of its samples."""
    gan, history = train(kind, seed, **options)
    return history, scorer.score(gan.sample(scorer.count, seed=4))


def describe(kind, history, score) -> dict[str, tuple[float, str]]:
    """Return what was said of a run, what it was said by, and its scorecard."""
    said = diagnosis.diagnose(history)
    before, spread = diagnosis.compare_quarters(history["spread"])
    gap_before, gap = diagnosis.compare_quarters(np.subtract(history["d_real"], history["d_fake"]))
    found = {f"count/true {kind}, said {name}": (float(said == name), "share of runs") for name in diagnosis.KINDS}
    found[f"gap/{kind}"] = (gap, "difference of answers")
    found[f"change of gap/{kind}"] = (abs(gap - gap_before), "difference of answers")
    found[f"spread/{kind}"] = (spread, "of that of real digits")
    found[f"change of spread/{kind}"] = (abs(spread / before - 1), "share")
    return found | {f"{name}/{kind}": (getattr(score, name), unit) for name, unit in SCORES.items()}


def measure_kind(train, scorer, trivial, kind, seed, suffix) -> dict[str, tuple[float, str]]:
    """Return the description of a run whose kind is known, and whether the scorecard confirms that kind."""
    history, score = run(train, scorer, kind, seed)
    later = run(train, scorer, kind, seed, share=0.2)[1] if kind == "not converged" else None
    found = describe(kind, history, score)
    found[f"confirmed/{kind}"] = (float(confirm(kind, score, trivial, later)), "share of runs")
    return {f"{name}{suffix}": value for name, value in found.items()}


def confirm(kind, score, trivial, later) -> bool:
    """Return whether the scorecard agrees with the kind that a recipe is to give; it sees no history.

    It knows a healthy run, a failed one, and one that more steps would help; why a run has failed the recipe says.
    score: of the run's samples; trivial: of the class-mean Gaussian, which a run that has learnt more than ten means
    and what surrounds them beats; later: of the same run with twice the steps.
    """
    draws = score.frechet < trivial.frechet
    return {
        "healthy": draws,
        "discriminator winning": not draws,
        "collapsed": not draws,
        "not converged": not draws and later is not None and later.frechet <= 0.5 * score.frechet,
    }[kind]
