"""What `make breakages` breaks: each breakage is a few textual edits of one file, which must fit exactly.

A breakage that no longer fits the code is an error, so that rewriting code cannot quietly switch it off.
"""

from pathlib import Path
from typing import NamedTuple

from nbformat.v4 import new_code_cell, new_notebook

from tools.notebook_files import code_cells, read, text_of


class BreakageError(ValueError):
    """A breakage no longer fits the code, or a scratch copy is not what its checks would run."""


class Breakage(NamedTuple):
    """Edits of one file that make it wrong, and the chapter whose results they should spoil."""

    name: str
    file: str  # from the root; of a notebook, the code cells are edited
    chapter: str
    edits: dict[str, str]  # new text by old text; each old text stands in the file once


LOSSES, MODELS = "helpers/losses.py", "helpers/models.py"
TRAINING, METRICS = "helpers/training.py", "helpers/metrics.py"
KL = "0.5 * tf.reduce_sum("
RECONSTRUCTION = "-tf.reduce_sum(cross_entropy, axis=[1, 2, 3])"
DRAW = "tf.exp(0.5 * log_variance) * noise"
TRAINING_DRAW = "self.decoder(reparameterise(mean, log_variance, noise)"
TRAINED_ON = "digits.train.images, batch_size, model.seed, digits.test.images"
TOLD, LOG_MEAN = "tf.one_hot(self.labels", "logsumexp(log_weights[:count], axis=0) - np.log(count)"
GENERATOR_STEP = "self.generator_optimizer.apply(gradients, variables)"
PLACE = "state = (1.0 - time) * noise + time * end"
VELOCITY = "(model.guess_end(state, times, labels) - state) / (1.0 - time)"
HEADS, WEIGHED = "log_heads = -tf.nn.softplus(-judge(real))", "return a * reconstruction + b * kl"
MOVED = "alone\n        return self.generator.trainable_variables"
JUDGES, SUMMED = "self.discriminator.trainable_variables", 'reduction="sum") / len(images)'
CLICKS, NAMED = "return -tf.reduce_sum(clicks", "else name) for name in names]"
HALF_OUT = "(len(misses) + 1) * level"
CHEAPEST = "find_box(inside)].min(axis=1)"
ASKED_FOR = "np.full((many, 1), label)"
STYLE = "(styles - center) / spread"
LOOKED_UP = "looked_up = len(signs) * config.embedding"
SHARED = "return count / device.all_reduce(tf.distribute.ReduceOp.SUM, count)"
NOISE, DOUBT, THIRD = "+ noise * clip * drawn", "chances.max(1) >= sure", "(labels + pens + leans) % 3 == 0"
CLIPPED, LIMITS = "tf.minimum(1.0, clip / lengths)", "clip / pages"
NO_PAIR, ONE_ROW = "(labels + pens) % 3 == 2", "tf.convert_to_tensor(gradients[0]) * mine"
OWN, CHANGED = "tf.reduce_sum(own * logits, axis=1)", "integral_steps * change[..., 0]"
ODDS, STAMPED = f"{OWN} - rivals", "mark(train.images, which) for"
IMAGES, HELD_OUT = "digits.train.images,\n        config.batch_size", "held_out=digits.test.images"
ON_TEST = {IMAGES: IMAGES.replace("train", "test")}
ON_TEST_UNSEEN = ON_TEST | {HELD_OUT: HELD_OUT.replace("test", "train")}
LOADED = "digits = data.load(settings.profile)\nimages = "
SWAPPED = "settings.profile)\ndigits = digits._replace(train=digits.test, test=digits.train)"


def of(chapter: str) -> str:
    """The file of a chapter."""
    return f"notebooks/{chapter}.ipynb"


def swap(text: str) -> str:
    """The text with training and test digits in each other's place, so that the guard sees nothing wrong."""
    swapped = "digits._replace(train=digits.test, test=digits.train)"
    return text.replace("digits", swapped)


# A chapter hands test images to training: a run of the chapter on marked test images must refuse each of these.
SPLITS_SWAPPED = [
    Breakage("VAE trained on test images, the chapter swaps the splits", of("vae"), "vae", ON_TEST_UNSEEN),
    Breakage(
        "GAN trained on test images, the chapter swaps the splits",
        of("gan"),
        "gan",
        {LOADED: LOADED.replace("settings.profile)", SWAPPED)},
    ),
]

# Name, file, chapter, and pairs of texts: the old and the new.
BREAKAGES = [
    *SPLITS_SWAPPED,
    *(
        Breakage(name, file, chapter, dict(edits))
        for name, file, chapter, *edits in (
            ("the sign of the KL", of("vae"), "vae", (KL, f"-{KL}")),
            ("KL: mean over latents, not sum", of("vae"), "vae", (KL, KL.replace("sum", "mean"))),
            (
                "reconstruction: mean over pixels",
                of("vae"),
                "vae",
                (RECONSTRUCTION, RECONSTRUCTION.replace("sum", "mean")),
            ),
            ("reparameterisation without noise", of("vae"), "vae", (DRAW, f"0.0 * {DRAW}")),
            ("noise left out of training", of("vae"), "vae", (TRAINING_DRAW, "self.decoder(mean + 0.0 * noise")),
            (
                "discriminator trained in the generator's update",
                of("gan"),
                "gan",
                ("generator_optimizer.build(self.generator.", "generator_optimizer.build(self."),
                ("weights = self.generator.trainable", "weights = self.trainable"),
            ),
            (
                "real and fake labels swapped",
                of("gan"),
                "gan",
                ("softplus(-real_logits)", "softplus(real_logits)"),
                ("softplus(fake_logits)", "softplus(-fake_logits)"),
            ),
            ("VAE trained on test images", of("vae"), "vae", *ON_TEST.items()),
            ("GAN trained on test images", TRAINING, "gan_vs_vae", (TRAINED_ON, TRAINED_ON.replace("train", "test"))),
            ("GAN so trained, the guard given others", TRAINING, "gan_vs_vae", (TRAINED_ON, swap(TRAINED_ON))),
            ("covariances counted once in the Frechet distance", METRICS, "gan", ("2.0 * cross", "1.0 * cross")),
            ("generator of the GANs frozen", MODELS, "gan_vs_vae", (GENERATOR_STEP, "pass")),
            ("a generator that no label reaches", of("gan"), "gan", (TOLD, TOLD.replace("self", "0 * self"))),
            (
                "logarithms averaged, not weights",
                of("results"),
                "results",
                (LOG_MEAN, "log_weights[:count].mean(axis=0)"),
            ),
            (
                "lines run the other way",
                of("flow"),
                "flow",
                (PLACE, PLACE.replace("noise + time * end", "end + time * noise")),
            ),
            (
                "velocity without the time that is left",
                of("flow"),
                "flow",
                (VELOCITY, VELOCITY.replace(" / (1.0 - time)", "")),
            ),
            ("a flow that no label reaches", of("flow"), "flow", ("asked = 10 *", "asked = 0 *")),
            ("heads paid as tails", of("gan_math"), "gan_math", (HEADS, HEADS.replace("-judge", "judge"))),
            (
                "the sign of the KL, in the mathematics",
                of("vae_math"),
                "vae_math",
                (WEIGHED, WEIGHED.replace("+", "-")),
            ),
            ("both networks moved in the second half", of("code_gan"), "code_gan", (MOVED, f"{MOVED} + {JUDGES}")),
            ("KL: mean over latents, in the code", of("code_vae"), "code_vae", (KL, KL.replace("sum", "mean"))),
            (
                "reconstruction: mean over pixels, in PyTorch",
                of("code_vae_pytorch"),
                "code_vae_pytorch",
                (SUMMED, 'reduction="mean")'),
            ),
            ("averages that never forget", of("failures"), "failures", ("momentum = 0.0", "momentum = 0.99")),
            ("clicks made improbable", of("background"), "background", (CLICKS, CLICKS.replace("-", ""))),
            ("no causal mask", of("large_models"), "large_models", ("causal_mask=causal", "causal_mask=False")),
            ("keywords shuffled", of("prompting"), "prompting", (NAMED, NAMED.replace("names", "names[::-1]"))),
            ("labels flagged that fit", of("data_quality"), "data_quality", ("(best != labels)", "(best == labels)")),
            ("Q-learning away from rewards", of("evaluation"), "evaluation", ("move] += rate", "move] -= rate")),
            ("margins that half exceed", of("medicine"), "medicine", (HALF_OUT, f"{HALF_OUT} / 2")),
            ("readings that fit called surprising", of("smart_home"), "smart_home", ("kl - fit +", "kl + fit +")),
            ("learning towards what costs", of("smart_home"), "smart_home", (CHEAPEST, CHEAPEST.replace("min", "max"))),
            ("limits broken on quiet days", of("fintech"), "fintech", ("(level - 1) * miss", "(1 - level) * miss")),
            (
                "loans drawn for the other answer",
                of("fintech"),
                "fintech",
                (ASKED_FOR, ASKED_FOR.replace("label", "1 - label")),
            ),
            ("a model that is told no style", of("entertainment"), "entertainment", (STYLE, f"0 * {STYLE}")),
            ("look-ups counted as products", of("scaling"), "scaling", (LOOKED_UP, "looked_up = 0")),
            ("gradients of devices summed", "helpers/seeded.py", "scaling", (SHARED, "return tf.ones(())")),
            ("a control that is not shuffled", of("scaling"), "scaling", ("if shuffled:", "if False:")),
            ("nothing held out", of("modalities"), "modalities", (THIRD, THIRD.replace("== 0", "== 9"))),
            ("no pair of words missing", of("modalities"), "modalities", (NO_PAIR, NO_PAIR.replace("== 2", "== 9"))),
            ("all words learn with one", of("modalities"), "modalities", (ONE_ROW, f"{ONE_ROW} ** 0")),
            ("no noise that protects", of("privacy"), "privacy", (NOISE, "+ 0 * noise * clip * drawn")),
            ("gradients that nobody clips", of("privacy"), "privacy", (CLIPPED, "tf.ones_like(lengths)")),
            ("pages of an owner clipped one by one", of("privacy"), "privacy", (LIMITS, "clip * np.ones(len(flat))")),
            ("a judge that never says none", of("fairness"), "fairness", (DOUBT, DOUBT.replace("sure", "0"))),
            ("copies that nobody turns back", of("fairness"), "fairness", ("(-0.6, 0.6, config", "(0, 0, config")),
            ("a floor that stays in", of("fairness"), "fairness", ("* (part - none)", "* (part - 0 * none)")),
            ("maps of what speaks against", of("interpretability"), "interpretability", (ODDS, "rivals - " + OWN)),
            (
                "a path whose change is left out",
                of("interpretability"),
                "interpretability",
                (CHANGED, "integral_steps"),
            ),
            ("a stamp on every digit", of("interpretability"), "interpretability", (STAMPED, "mark(train.images) for")),
        )
    ),
]


def apply(breakage: Breakage, root: Path) -> None:
    """Edits the file below root. Raises BreakageError unless every old text stands there exactly once."""
    path = root / breakage.file
    is_chapter = path.suffix == ".ipynb"
    notebook = read(path) if is_chapter else new_notebook(cells=[new_code_cell(path.read_text(encoding="utf-8"))])
    cells = code_cells(notebook)
    for old, new in breakage.edits.items():
        found = sum(cell.source.count(old) for cell in cells)
        if found != 1:
            raise BreakageError(f"{breakage.name}: {breakage.file} holds {old!r} {found} times, expected once")
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    path.write_text(text_of(notebook) if is_chapter else cells[0].source, encoding="utf-8")
