"""The programs on the page of questions run as they are printed, and do what the page says of them."""

import re

import keras
import numpy as np
import pytest

from helpers import training
from tools.notebook_files import ROOT

PAGE = (ROOT / "book" / "faq.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?ms)^```python\n(.*?)^```$", PAGE)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The names that the page's blocks of Python define, run in order in an empty folder."""
    *blocks, _ = BLOCKS
    assert len(blocks) == 3
    names: dict = {"__name__": "faq"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("faq"))
        for number, block in enumerate(blocks):
            exec(compile(block, f"faq.md, block {number}", "exec"), names)
        names["folder"] = names["folder"].resolve()
    return names


def test_the_loaded_model_is_the_saved_one(page):
    assert page["card"]["accuracy"] > 0.9
    loaded, saved = (np.asarray(page[name](page["test"])) for name in ("network", "model"))
    assert np.array_equal(loaded, saved)


def test_a_request_is_answered(page):
    answers = [page["read_digit"]({"image": image.tolist()}, page["network"], page["card"]) for image in page["test"]]
    assert np.mean([answer["digit"] for answer in answers] == page["test_labels"]) > 0.9
    assert set(answers[0]) == {"digit", "probability", "ink", "version"}
    page["json"].dumps(answers)


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (None, "expected an 'image'"),
        ({}, "expected an 'image'"),
        ({"image": "seven"}, "expected an 'image'"),
        ({"image": [[0.0, 1.0], [0.5]]}, "expected an 'image'"),
        ({"image": []}, "shape"),
        ({"image": [0.0] * 64}, "shape"),
        ({"image": np.zeros((28, 28))}, "shape"),
        ({"image": np.full((8, 8), 16.0)}, "expected 0.0 to 1.0"),
        ({"image": np.full((8, 8), -0.5)}, "expected 0.0 to 1.0"),
        ({"image": np.full((8, 8), np.nan)}, "expected 0.0 to 1.0"),
    ],
)
def test_a_bad_request_is_refused_and_told_why(page, request_, complaint):
    with pytest.raises(page["BadRequest"], match=complaint):
        page["read_digit"](request_, page["network"], page["card"])


def test_a_changed_model_is_not_served(page, tmp_path):
    changed = page["keras"].models.clone_model(page["model"])  # the same layers, other weights
    changed.save(tmp_path / "model.keras")
    (tmp_path / "card.json").write_text((page["folder"] / "card.json").read_text())
    with pytest.raises(RuntimeError, match="answers otherwise"):
        page["load_reader"](tmp_path)


def test_inverted_digits_pass_every_check_and_set_off_the_alarm(page):
    inverted = page["inverted"]
    assert np.mean([answer["digit"] for answer in inverted] == page["test_labels"][: len(inverted)]) < 0.2
    assert np.median([answer["probability"] for answer in inverted]) > 0.7
    assert page["measure_drift"](page["usual"], page["card"]) < 5
    assert page["measure_drift"](inverted, page["card"]) > 24


def test_a_lost_training_goes_on_as_the_page_says(tmp_path, monkeypatch):
    """The same lines three times: killed in the third epoch, again, and elsewhere without a stop."""
    code, epochs = compile(BLOCKS[-1], "faq.md, the checkpoint", "exec"), []

    def run(folder, last=99):
        class Watch(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                epochs.append(epoch)
                if epoch == last:
                    raise KeyboardInterrupt

        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        keras.utils.set_random_seed(0)
        names = {}
        with pytest.MonkeyPatch.context() as patch:
            prepare = training._prepare_fit
            patch.setattr(training, "_prepare_fit", lambda *given, **more: watch(*prepare(*given, **more)))

            def watch(batches, callbacks):
                return batches, [*callbacks, Watch()]

            exec(code, names)
        return names

    with pytest.raises(KeyboardInterrupt):
        run("drive of a session", last=2)
    resumed = run("drive of a session")
    assert epochs == [0, 1, 2, 2, 3]
    straight = run("another")
    assert resumed["history"] == straight["history"]
    for one, other in zip(resumed["gan"].get_weights(), straight["gan"].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
