"""Measures what chapters take in full on a GPU, for the page of costs: `python -m tools.gpu [CHAPTER ...]`.

By default `gan`, `vae` and `flow`, one run of each, as Run all does; ten minutes were planned for all three. Each
row is written to results/gpu.json as soon as it is there, with machine, versions and the digest of its code: the page
shows a row of the code as it stands, and says *not measured* otherwise. MNIST comes as everywhere (MNIST_NPZ=path).
"""

import sys

import tensorflow as tf
from nbclient.exceptions import CellExecutionError, DeadKernelError

from tools.digest import Code
from tools.environment import THREADS, environment_for
from tools.execute import run_notebook
from tools.notebook_files import ROOT, chapters
from tools.recording import describe_run, read_json, write_json

FILE = ROOT / "results" / "gpu.json"
CHAPTERS = ["gan", "vae", "flow"]
NO_GPU = "TensorFlow sees no GPU here, and nothing is measured: run it where there is one, with tensorflow[and-cuda]."


def main(names: list[str]) -> int:
    """Measure the chapters one after the other; return the exit status."""
    if not tf.config.list_physical_devices("GPU"):
        print(NO_GPU, file=sys.stderr)
        return 1
    environment = environment_for("full")
    for name in THREADS:  # as many as TensorFlow takes by itself
        del environment[name]
    failed = 0
    for path in chapters(names or CHAPTERS):
        digest = Code().digest_chapter(path.stem, "full")
        try:
            run = run_notebook(path, environment)
        except (CellExecutionError, DeadKernelError) as error:
            print(f"{error}\n{path.stem} failed; its row is left as it was.", file=sys.stderr)
            failed += 1
            continue
        about = {"seconds": round(run.seconds, 1), "peak_memory_mb": run.peak_memory_mb, "digest": digest}
        write_json(read_json(FILE) | {path.stem: about | describe_run(threads=0)}, FILE)
        print(f"{path.stem}: {run.seconds:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
