"""The programs on the page of questions, and what the page says that they print.

`python tests/book/faq_page.py` runs them and writes what they print, and the picture, into the page.
"""

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "book" / "faq.md"
PICTURE = ROOT / "book" / "_pictures" / "faq_served.png"
# A block of Python and, right under it, what it prints
BLOCK = re.compile(r"(?ms)^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<output>.*?)^```\n)?")
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")


def find_blocks(text):
    """The blocks of Python of a page, each a pair: its code, and the output that the page shows; None where none is."""
    return [(found["code"], found["output"]) for found in BLOCK.finditer(text)]


def run(blocks, names):
    """Run blocks one after another in the same names; return what each printed, with no blanks at the ends of lines."""
    printed = []
    for number, (code, _) in enumerate(blocks):
        with contextlib.redirect_stdout(io.StringIO()) as stream:
            exec(compile(code, f"faq.md, block {number}", "exec"), names)
        printed.append("".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines()))
    return printed


def read_numbers(output):
    """Return the text of an output with # for each number and blanks made one, and its numbers."""
    numbers = [float(number.replace(",", "")) for number in NUMBER.findall(output)]
    return re.sub(r"\s+", " ", NUMBER.sub("#", output)).strip(), numbers


def is_timed(code):
    """Whether a block measures time, so that its numbers are those of one machine."""
    return "perf_counter" in code


def write_outputs(page, printed):
    """Write what the blocks of a page print under them, in their order; blocks that have no more outputs get none."""
    outputs = iter(printed)

    def show(found):
        text = next(outputs, "")
        return f"```python\n{found['code']}```\n" + f"\n```text\n{text}```\n" * bool(text)

    page.write_text(BLOCK.sub(show, page.read_text(encoding="utf-8")), encoding="utf-8")


def fill():
    """Write what the blocks print, and the picture, into the page."""
    blocks = find_blocks(PAGE.read_text(encoding="utf-8"))[:-1]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        printed = run(blocks, {"__name__": "faq"})
        shutil.copy("served.png", PICTURE)
    write_outputs(PAGE, printed)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tools.environment import QUICK

    os.environ.update(QUICK)
    fill()
