"""Trials for the study of modes: three learning rates for each method on the grid, at about equal seconds.

Each method has the same number of trials and, for its cheaper steps, more of them. The study then takes the rate with
the smallest sum, over both seeds, of the reverse KL divergence and the share of points that are not of high quality.
The seeds are 100 and 101, which the study leaves out.
"""

from helpers.book import runtime
from studies import modes

SEEDS = 2
SELECTION = "validation"  # fresh draws of the mixture, by other seeds
RUNS = {
    "stabilised GAN, 0.001": {"stabilised": True, "steps": 20_000, "learning_rate": 1e-3},
    "stabilised GAN, 0.003": {"stabilised": True, "steps": 20_000, "learning_rate": 3e-3},
    "stabilised GAN, 0.006": {"stabilised": True, "steps": 20_000, "learning_rate": 6e-3},
    "plain GAN, 0.001": {"steps": 24_000, "learning_rate": 1e-3},
    "plain GAN, 0.003": {"steps": 24_000, "learning_rate": 3e-3},
    "plain GAN, 0.006": {"steps": 24_000, "learning_rate": 6e-3},
    "PacGAN2, 0.001": {"packed": 2, "steps": 32_000, "learning_rate": 1e-3},
    "PacGAN2, 0.003": {"packed": 2, "steps": 32_000, "learning_rate": 3e-3},
    "PacGAN2, 0.006": {"packed": 2, "steps": 32_000, "learning_rate": 6e-3},
}

FIRST_SEED = 100


def measure(label, folder):
    """Train as the run says; return what the points are worth, and the costs."""
    run = modes.DEFAULTS | {"mixture": "grid"} | RUNS[label]
    return modes.measure_run(run, label, folder, FIRST_SEED + runtime.start().seed)
