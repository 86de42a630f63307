"""The reader of the chapter `prompting`: weights of a small transformer that answers from a passage, and two traps.

The language, the network and the training step are the chapter's own: the study runs its cells up to `train`, and
answers by `build_answerer`. PHASES is the curriculum: three facts of one kind before four of both, one wording before
all, questions that the passage answers before those that it does not. The next phase begins when the loss of the last
hundred steps falls below ENOUGH. Sizes and rate are those of a trial with another language; the number of steps was
raised after a run that was asked about other passages.

Two readers learn something else than reading. "kind": two facts about two shops, in two of three passages of different
kinds, so that the kind of a question settles most answers. "count": from the weights after the first phase, refusals
whose passages lack a sentence; its control has passages of equal length. Each is asked in its own language and where
the short cut is gone. Test passages hold facts that never occur in training, at SEED_OF_TESTS.
"""

import random
from pathlib import Path

import keras
import numpy as np

from tools.studies import run_cells

SEEDS = 1  # of the weights that are shipped; the errors are those of the test passages
SELECTION = "other passages"
CELLS = ("prompting", "build_answerer")
WEIGHTS = ("reader.npz",)
RUNS = {"reader": {}}
PHASES = (
    {"facts": 3, "mixed": False, "wordings": 1, "ways": ("question",), "unknown": 0.0},
    {
        "facts": 3,
        "mixed": False,
        "wordings": 2,
        "ways": ("question", "request", "keyword", "template"),
        "unknown": 0.25,
    },
    {"facts": 4, "mixed": True, "wordings": 2, "ways": ("question", "request", "keyword", "template"), "unknown": 0.25},
)
EMPTY = 0.03  # share of prompts without a passage, in the last phase
ENOUGH = 0.12  # nats for a token of an answer
STEPS, LOOK, BATCH, LENGTH, RATE = 3_800, 100, 64, 57, 2e-3
TRAP = {"kind": 600, "count": 250}  # steps
TRAP_LENGTH = 36
ASKED = 500  # test prompts of each sort
SEED_OF_TESTS = 2_000


class Curriculum(keras.callbacks.Callback):
    """Goes to the next phase when the last look's loss is low; keeps the weights after the first phase."""

    def __init__(self):
        super().__init__()
        self.phase, self.after_first = 0, None

    def on_epoch_end(self, epoch, logs=None):
        """Called after each look."""
        if logs["loss"] < ENOUGH and self.phase + 1 < len(PHASES):
            if not self.phase:
                self.after_first = self.model.get_weights()
            self.phase += 1
        print(f"look {epoch}: loss {logs['loss']:.3f}, phase {self.phase}", flush=True)


def measure(label: str, folder: Path) -> dict[str, tuple]:
    """Train the reader and the readers of the traps; return what each answers, and leave the reader's weights."""
    names = run_cells(*CELLS)
    seed = names["settings"].seed
    keras.utils.set_random_seed(seed)
    reader, _ = names["build_reader"]()
    answer = names["build_answerer"](reader)
    course = Curriculum()
    batches = names["stream"](lambda rng: draw(names, rng, PHASES[course.phase]), seed, BATCH, LENGTH)
    looks = STEPS // LOOK
    names["train"](reader, batches, RATE, STEPS, looks, [course], compiled=True)
    halves = [weights.astype(np.float16) for weights in reader.get_weights()]
    np.savez_compressed(folder / WEIGHTS[0], *halves)
    reader.set_weights(halves)
    found = ask(names, answer, "reader, answer in the passage", PHASES[-1] | {"unknown": 0.0})
    found |= ask(names, answer, "reader, answer not in the passage", PHASES[-1] | {"unknown": 1.0})
    if course.after_first is not None:
        for kind in ("count", "count, control"):
            reader.set_weights(course.after_first)
            found |= measure_count(names, reader, answer, kind)
    return found | measure_kind(names)


def draw(names, rng, phase, questions=2, held_out=False):
    """Return a passage and its questions, as parts for the chapter's `encode`."""
    kinds = list(names["values"]) if phase["mixed"] else [rng.choice(list(names["values"]))]
    empty = phase["mixed"] and rng.random() < EMPTY
    facts = [] if empty else names["draw_facts"](rng, phase["facts"], kinds, phase.get("among", 3), held_out)
    if phase.get("short"):  # the trap: a passage that does not answer lacks a sentence
        asked = rng.random() < phase["unknown"]
        parts = names["draw_dialogue"](rng, facts, phase["ways"], 1, float(asked))
        facts = facts[:-1] if asked else facts
        return [(names["write_passage"](rng, facts, phase["wordings"]), False), *parts]
    parts = names["draw_dialogue"](rng, facts, phase["ways"], questions, phase["unknown"])
    return [(names["write_passage"](rng, facts, phase["wordings"]), False), *parts]


def ask(names, answer, name, phase):
    """Return the share of test prompts that the model answers as it should, with its standard error."""
    rng = random.Random(SEED_OF_TESTS)
    given = [draw(names, rng, phase, questions=1, held_out=True) for _ in range(ASKED)]
    told = answer([" ".join(text for text, learnt in parts if not learnt) for parts in given])
    right = np.mean([one == parts[-1][0].removesuffix(" .") for one, parts in zip(told, given, strict=True)])
    return {f"right/{name}": (float(right), "share", float((right * (1 - right) / ASKED) ** 0.5))}


def measure_count(names, reader, answer, kind):
    """Return how a reader refuses that has learnt to from passages of another length, or of the same."""
    phase = PHASES[0] | {"unknown": 0.5}
    shorter = phase | {"short": True}
    own = shorter if kind == "count" else phase
    batches = names["stream"](lambda rng: draw(names, rng, own, questions=1), 1, BATCH, TRAP_LENGTH)
    names["train"](reader, batches, RATE / 2, TRAP["count"])
    found = {}
    for what, rows in (("a sentence missing", shorter), ("equal length", phase)):
        found |= ask(names, answer, f"{kind}, refusals, {what}", rows | {"unknown": 1.0})
    return found | ask(names, answer, f"{kind}, answers", phase | {"unknown": 0.0})


def measure_kind(names):
    """Return what a reader answers that was trained where the kind of a question settles most answers."""
    mixed = PHASES[0] | {"facts": 2, "among": 2, "mixed": True}
    reader, _ = names["build_reader"]()
    batches = names["stream"](lambda rng: draw(names, rng, mixed, questions=1), 1, BATCH, TRAP_LENGTH)
    names["train"](reader, batches, RATE, TRAP["kind"])
    answer = names["build_answerer"](reader)
    found = ask(names, answer, "kind, its own passages", mixed)
    return found | ask(names, answer, "kind, two facts of one kind", mixed | {"mixed": False})
