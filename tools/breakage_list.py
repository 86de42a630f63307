"""What `make breakages` breaks: each breakage is a few textual edits of one file, which must fit exactly.

A breakage that no longer fits the code is an error, so that rewriting code cannot quietly switch it off.
"""

from pathlib import Path
from typing import NamedTuple

from tools.notebook_files import code_cells, read, write


class BreakageError(ValueError):
    """A breakage no longer fits the code, or a scratch copy is not what its checks would run."""


class Breakage(NamedTuple):
    """Edits of one file that make it wrong, and the chapter whose results they should spoil."""

    name: str
    file: str  # from the root; of a notebook, the code cells are edited
    chapter: str
    edits: dict[str, str]  # new text by old text; each old text stands in the file once


LOSSES, MODELS = "helpers/losses.py", "helpers/models.py"
TRAINING, SCORECARD = "helpers/training.py", "helpers/scorecard.py"
TRANSFORMERS = "helpers/transformers.py"
VAE, GAN = "notebooks/vae.ipynb", "notebooks/gan.ipynb"
KL = "0.5 * tf.reduce_sum(tf.exp(log_variance)"
RECONSTRUCTION = "-tf.reduce_sum(cross_entropy, axis=[1, 2, 3])"
DRAW = "tf.exp(0.5 * log_variance) * noise"
TRAINING_DRAW = "losses.reparameterise(mean, log_variance, noise), training"
TRAINED_ON = "digits.train.images, batch_size, model.seed, digits.test.images"
CLASSIFIER_IMAGES, CLASSIFIER = "images, labels = digits.train", "scorecard.Scorer(digits"
TOLD = "tf.one_hot(labels"
GENERATOR_STEP = "self.generator_optimizer.apply(gradients, variables)"
CLICKS, SHUFFLED = "reconstruction = -tf.reduce_mean(", "rng.permutation(words)"
RECIPE = "digits,\n        batch_size=config.batch_size"


def swap(text: str) -> str:
    """The text with training and test digits in each other's place, so that the guard sees nothing wrong."""
    swapped = "digits._replace(train=digits.test, test=digits.train)"
    return text.replace("digits", swapped)


def chapter(name: str) -> tuple[str, str]:
    """The file of a chapter that is broken itself, and its name."""
    return f"notebooks/{name}.ipynb", name


# A chapter hands test images to training: a run of the chapter on marked test images must refuse each of these.
SPLITS_SWAPPED = [
    Breakage("VAE trained on test images, the chapter swaps the splits", VAE, "vae", {RECIPE: swap(RECIPE)}),
    Breakage("GAN trained on test images, the chapter swaps the splits", GAN, "gan", {RECIPE: swap(RECIPE)}),
    Breakage("classifier trained on test images, the chapter swaps", GAN, "gan", {CLASSIFIER: swap(CLASSIFIER)}),
]

BREAKAGES = [
    *SPLITS_SWAPPED,
    Breakage("the sign of the KL", LOSSES, "vae", {KL: f"-{KL}"}),
    Breakage("KL: mean over latents, not sum", LOSSES, "vae", {KL: KL.replace("sum", "mean")}),
    Breakage(
        "reconstruction: mean over pixels, not sum",
        LOSSES,
        "vae",
        {RECONSTRUCTION: RECONSTRUCTION.replace("sum", "mean")},
    ),
    Breakage("reparameterisation without noise", LOSSES, "vae", {DRAW: f"0.0 * {DRAW}"}),
    Breakage("noise left out of training alone", MODELS, "vae", {TRAINING_DRAW: "mean + 0.0 * noise, training"}),
    Breakage(
        "discriminator trained in the generator's update",
        MODELS,
        "gan",
        {
            "generator_optimizer.build(self.generator.": "generator_optimizer.build(self.",
            "variables = self.generator.trainable": "variables = self.trainable",
        },
    ),
    Breakage(
        "real and fake labels swapped",
        LOSSES,
        "gan",
        {"softplus(-real_logits)": "softplus(real_logits)", "softplus(fake_logits)": "softplus(-fake_logits)"},
    ),
    Breakage("VAE trained on test images", TRAINING, "vae", {TRAINED_ON: TRAINED_ON.replace("train", "test")}),
    Breakage("VAE trained on test images, the guard given others", TRAINING, "vae", {TRAINED_ON: swap(TRAINED_ON)}),
    Breakage("GAN trained on test images", TRAINING, "gan", {TRAINED_ON: TRAINED_ON.replace("train", "test")}),
    Breakage("GAN trained on test images, the guard given others", TRAINING, "gan", {TRAINED_ON: swap(TRAINED_ON)}),
    Breakage(
        "classifier trained on test images", SCORECARD, "gan", {CLASSIFIER_IMAGES: "images, labels = digits.test"}
    ),
    Breakage(
        "classifier trained on test images, the guard given others",
        SCORECARD,
        "gan",
        {"self.classifier.fit(images, labels,": "self.classifier.fit(*digits.test,"},
    ),
    Breakage("generator of the GANs frozen", MODELS, "results", {GENERATOR_STEP: "pass"}),
    Breakage(
        "labels of the conditional GAN swapped",
        MODELS,
        "results",
        {TOLD: TOLD.replace("labels", "9 - labels")},
    ),
    Breakage("averages that never forget", *chapter("failures"), {"momentum = 0.0": "momentum = 0.99"}),
    Breakage("clicks made improbable", *chapter("background"), {CLICKS: CLICKS.replace("-", "")}),
    Breakage("no causal mask", TRANSFORMERS, "large_models", {"use_causal_mask=causal": "use_causal_mask=False"}),
    Breakage("keywords shuffled in training", *chapter("prompting"), {f"{SHUFFLED} if shuffled else words": SHUFFLED}),
    Breakage("labels flagged that fit", *chapter("data_quality"), {"(best != labels)": "(best == labels)"}),
    Breakage(
        "Q-learning away from rewards", *chapter("evaluation"), {"q[here, move] += rate": "q[here, move] -= rate"}
    ),
]


def apply(breakage: Breakage, root: Path) -> None:
    """Edits the file below root. Raises BreakageError unless every old text stands there exactly once."""
    path = root / breakage.file
    notebook = read(path) if path.suffix == ".ipynb" else None
    texts = [cell.source for cell in code_cells(notebook)] if notebook else [path.read_text(encoding="utf-8")]
    for old, new in breakage.edits.items():
        found = sum(text.count(old) for text in texts)
        if found != 1:
            raise BreakageError(f"{breakage.name}: {breakage.file} holds {old!r} {found} times, expected once")
        texts = [text.replace(old, new) for text in texts]
    if notebook:
        for cell, text in zip(code_cells(notebook), texts, strict=True):
            cell.source = text
        write(notebook, path)
    else:
        path.write_text(texts[0], encoding="utf-8")
