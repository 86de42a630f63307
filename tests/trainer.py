"""Trainings in processes of their own, which can be killed: `python -m tests.trainer` forks one for each line it reads.

TensorFlow is imported once, and never runs anything before the fork, after which it would not work. A line is JSON: the
names of a function here and of what it takes. What the function returns is answered as JSON, or None for a process that
was killed; kill: {"step": 7, "seconds": 0.01}, so long after that step has begun, or {"epoch": 3, "call": "write",
"share": 0.4, "after": false}, within the save after that epoch, before or after such a call of the system.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np

from helpers import checkpoints, data, flow, models, networks, training

SHORT = {"batch_size": 16, "steps_per_epoch": 3, "epochs": 11}
MOST_SECONDS = 3_600  # of what is asked: two hundred trainings, on a machine that does much else
DIGITS = data.load_small_digits()  # once, before the fork
HELD_OUT = np.round(np.random.default_rng(0).random((5, 28, 28, 1), dtype=np.float32))


# What is trained: each has something that is easily forgotten


def train_gan(callbacks: list) -> tuple[keras.Model, dict]:
    """A conditional GAN whose discriminator leaves out units at random."""
    layers = [keras.layers.Flatten(), keras.layers.Dropout(0.3, seed=1), keras.layers.Dense(4), keras.layers.Dense(1)]
    discriminator = networks.give_each_class_a_logit(keras.Sequential([keras.Input((28, 28, 1)), *layers]))
    gan = models.ConditionalGAN(networks.build_dense_generator(14, (4,)), discriminator, 0, 0.5)
    return gan, training.train_gan(gan, DIGITS, learning_rate=4e-3, **SHORT, callbacks=callbacks)


def train_vae(callbacks: list) -> tuple[keras.Model, dict]:
    """A VAE with held-out images."""
    vae = models.VAE(networks.build_dense_encoder(2, (4,)), networks.build_dense_decoder(2, (4,)))
    more = {"validation": HELD_OUT, "callbacks": callbacks}
    return vae, training.train_vae(vae, DIGITS, learning_rate=4e-3, **SHORT, **more)


def train_flow(callbacks: list) -> tuple[keras.Model, dict]:
    """A flow by a fit() of its own, whose optimiser averages the weights."""
    model = flow.FlowMatching(networks.build_dense_flow(width=4, blocks=1))
    model.compile(keras.optimizers.Adam(1e-3, use_ema=True))
    callbacks = callbacks or [training.FirstStep()]  # which lets go of the graphs at the end, as in train_flow()
    start = callbacks[0].read
    batches = data.make_batches(DIGITS.train.images, SHORT["batch_size"], 0, DIGITS.test.images, start=start)
    sizes = {name: SHORT[name] for name in ("epochs", "steps_per_epoch")}
    return model, model.fit(batches, **sizes, callbacks=callbacks, verbose=0).history


TRAIN = {"gan": train_gan, "vae": train_vae, "flow": train_flow}


# In the forked process


class AtStep(keras.callbacks.Callback):
    """Tells the parent that a step begins."""

    def __init__(self, step: int, tell: Callable[[], object]) -> None:
        super().__init__()
        self.step, self.tell = step, tell

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if int(self.model.optimizer.iterations.numpy()) >= self.step:
            self.tell()


def die() -> None:
    """End this process as the system does that runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_within(save: Callable, epoch: int, call: str, share: float, after: bool) -> Callable:
    """A save that dies before or after one of its calls so named: that at a share of their number, once it is known."""
    known = Counter()

    def save_and_die(*given: object, **more: object) -> None:
        seen, kind = Counter(), "c_return" if after else "c_call"
        fatal = int(share * known[call]) if more["epochs"] > epoch else None

        def watch(frame: object, event: str, function: object) -> None:
            if event == kind and getattr(function, "__name__", "") == call:
                if seen[call] == fatal:
                    die()
                seen[call] += 1

        sys.setprofile(watch)
        save(*given, **more)
        sys.setprofile(None)
        known.update(seen - known)

    return save_and_die


def train(model: str, file: str | None, kill: dict | None, tell: Callable) -> dict:
    """Train, kept in a file if one is given; return the digest of each variable, and the history."""
    keras.utils.set_random_seed(0)
    training.MOST_STEPS_PER_CALL = 1
    callbacks = [training.Checkpoint(file, every=1)] if file else []
    if kill and "step" in kill:
        callbacks.append(AtStep(kill["step"], tell))
    elif kill:
        checkpoints.save_state = die_within(checkpoints.save_state, **kill)
    trained, history = TRAIN[model](callbacks)
    if kill:
        time.sleep(MOST_SECONDS)  # the kill is on its way
    variables = [*trained.variables, *trained.optimizer.variables]
    digests = [[one.path, hashlib.sha256(one.numpy().tobytes()).hexdigest()] for one in variables]
    return {"digests": digests, "history": history}


def measure_growth(trainings: int, tell: Callable) -> list[int]:
    """Train the three models in turn, as a notebook does that goes on and on; return the memory after each, in kB."""
    resident = []
    for number in range(trainings):
        keras.utils.set_random_seed(number)
        list(TRAIN.values())[number % len(TRAIN)]([])
        status = Path("/proc/self/status").read_text(encoding="ascii")
        resident.append(int(status.partition("VmRSS:")[2].split()[0]))
    return resident


# In the parent


def serve() -> None:
    """Fork a process for each line, kill it when it is to be killed, and answer what it returned."""
    for line in sys.stdin:
        asked = json.loads(line)
        kill = asked.get("kill") or {}
        begun, tell = os.pipe()
        answers, answer = os.pipe()
        child = os.fork()
        if not child:
            work(asked, tell, answer)
        os.close(tell)
        os.close(answer)
        if "step" in kill and os.read(begun, 1):
            time.sleep(kill["seconds"])
            os.kill(child, signal.SIGKILL)
        with os.fdopen(answers) as stream:
            returned = stream.read()
        _, status = os.waitpid(child, 0)
        os.close(begun)
        answered = {"status": os.waitstatus_to_exitcode(status), "returned": json.loads(returned or "null")}
        print(json.dumps(answered), flush=True)


def work(asked: dict, tell: int, answer: int) -> None:
    """Do what is asked in this process, which ends with it."""
    try:
        signal.alarm(MOST_SECONDS)
        returned = globals()[asked.pop("function")](**asked, tell=lambda: os.write(tell, b"."))
        with os.fdopen(answer, "w") as stream:
            json.dump(returned, stream)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


@contextmanager
def open_trainer() -> Iterator[Callable]:
    """Give a `call(function, **given)` that does it in a forked process, and returns None where that was killed."""
    command, pipes = [sys.executable, "-m", "tests.trainer"], {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, encoding="utf-8", cwd=Path(__file__).parents[1]) as process:

        def call(function: str, **given: object) -> object:
            print(json.dumps({"function": function, **given}), file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline())
            assert answer["status"] in (0, -signal.SIGKILL), answer
            assert (answer["status"] == 0) == (answer["returned"] is not None), answer
            return answer["returned"]

        yield call
        process.stdin.close()


if __name__ == "__main__":
    serve()
