"""What a chapter hands to the page for runs to choose from: all of them side by side where no script runs."""

import base64
import html
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from helpers.book import runs

RUNS = {  # one colour for each frame of each run, two frames
    "0.1": np.stack([np.full((8, 6, 3), level, np.uint8) for level in (0, 50)]),
    "1 & more": np.stack([np.full((8, 6, 3), level, np.uint8) for level in (100, 200)]),
}
TOLD = {"0.1": ["none", "some <b>"], "1 & more": ["few", "all"]}
ABOUT = {"choice": "Rate", "task": "Look <here>.", "alt": "Grey panels."}


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    outputs: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda output, raw: outputs.append(output))
    return outputs


def test_each_run_is_headed_by_what_is_said_of_its_end(shown: list) -> None:
    three = {name: np.concatenate([frames, frames[-1:]]) for name, frames in RUNS.items()}
    told = {name: [*words, f"the end of {name[0]}"] for name, words in TOLD.items()}
    runs.show_runs(three, ["step 0", "step 5", "step 9"], told, **ABOUT)
    assert re.findall("<small>([^<]*)</small>", shown[0]["text/html"]) == ["the end of 0", "the end of 1"]


def test_runs_stand_side_by_side_at_the_last_frame(shown: list) -> None:
    for _ in range(2):
        runs.show_runs(RUNS, ["step 0", "step 9"], TOLD, **ABOUT)
    assert shown[0] == shown[1]
    page = shown[0]["text/html"]
    png = re.search(r'<img src="data:image/png;base64,([^"]+)" alt="Grey panels."', page)[1]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L"))
    assert picture.shape == (16, 12)
    assert picture[::8, ::6].tolist() == [[0, 100], [50, 200]]
    assert "aspect-ratio:12/8;--ratio:6/8;--runs:2;--run:0;--count:2;--frame:1" in page
    heads = re.findall("<li>([^<]*)<small>([^<]*)</small></li>", page)
    assert heads == [("0.1", "some &lt;b&gt;"), ("1 &amp; more", "all")]
    assert json.loads(html.unescape(re.search('data-told="([^"]*)"', page)[1])) == [*TOLD.values()]
    assert re.findall("<option>([^<]*)", page) == ["0.1", "1 &amp; more"]
    assert "Look &lt;here&gt;." in page
    for hidden in ("<label hidden>", '<p class="told" hidden>'):
        assert hidden in page
    assert not re.search(r"""(?:src|href)="(?!data:)""", page)
    assert max(map(len, shown[0]["text/plain"].splitlines())) <= 88


@pytest.mark.parametrize(
    ("given", "labels", "told"),
    [
        (RUNS, ["step 0"], TOLD),
        (RUNS, ["step 0", "step 9"], TOLD | {"0.1": ["none"]}),
        ({**RUNS, "0.1": RUNS["0.1"][:1]}, ["step 0", "step 9"], TOLD),
        ({**RUNS, "0.1": RUNS["0.1"][:, :4]}, ["step 0", "step 9"], TOLD),
    ],
    ids=["labels", "texts", "frames", "sizes"],
)
def test_runs_that_do_not_fit_are_refused(given: dict, labels: list, told: dict) -> None:
    with pytest.raises(ValueError, match=r"runs have the shapes .* expected one of each"):
        runs.show_runs(given, labels, told, **ABOUT)


def test_too_large_a_picture_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (2, 400, 300, 3)).astype(np.uint8)
    with pytest.raises(ValueError, match=r"the runs take \d+,\d+ bytes; expected at most 120,000: take fewer frames"):
        runs.show_runs({"a": noise, "b": noise}, ["x", "y"], {"a": ["", ""], "b": ["", ""]}, **ABOUT)
