"""What training costs: the book's own beside the article's pattern, plain fit() and PyTorch, and how the cost grows.

`studies.training_speed_ways` says what each way does. All train the same networks on the same batches; the seed is that
of weights, batches and noise, and a seed is a round in which the ways take turns. Nothing was chosen here.
`make benchmark` measures it and prints the table of `studies.training_speed_table`.
"""

import matplotlib.pyplot as plt
import tensorflow as tf
from matplotlib.ticker import LogLocator

from helpers import plotting
from helpers.book import runtime
from studies.training_speed_ways import CASES, GROWING, grown, growth_metric, measure_round

SEEDS = 3
SELECTION = "none"
ALONE = True  # the caches of a processor are shared
RUNS = {"ways": {}}

AXES = {"batch": "batch (images)", "width": "width (units)", "images": "data set (images)"}


def measure(label, folder):
    """Time every way once, with the seed in BOOK_SEED; draw how the cost grows."""
    settings = runtime.start()
    tf.get_logger().setLevel("ERROR")  # it warns when many models are compiled, as here
    found = measure_round(settings.seed)
    draw_growth(found, folder / "scaling.png")
    return found


def draw_growth(found, file):
    """Draw how the cost grows with batch, width and data, each on logarithmic axes; dotted: in proportion.

    found: {metric: (value, unit)}, as measure_round gives it.
    """
    plotting.use_book_style()
    figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.8))
    for ax, (what, xlabel) in zip(axes, AXES.items(), strict=True):
        for name, style in zip(GROWING, ("o-", "s--"), strict=True):
            sizes = list(grown(CASES[name])[what])
            values = [found[growth_metric(name, what, size)][0] for size in sizes]
            ax.loglog(sizes, values, style, label=name, markersize=4)
        ax.loglog(sizes, [values[-1] * size / sizes[-1] for size in sizes], ":", color="grey", label="in proportion")
        for axis, marks in ((ax.xaxis, (1, 3)), (ax.yaxis, (1, 2, 5))):
            axis.set_major_locator(LogLocator(subs=marks))
            axis.set_major_formatter("{x:,g}")
        ax.minorticks_off()
        ax.set_xlabel(xlabel)
        ax.set_ylabel("seconds a pass" if what == "images" else "milliseconds a step")
    axes[0].legend(fontsize=8)
    figure.savefig(file)
    plt.close(figure)
