"""What the page on running the book says of a training on Colab holds, with a folder in the place of the Drive."""

import sys
from pathlib import Path
from types import SimpleNamespace

import faq_page
import pytest
from killed_page import assert_same_end, run_killed

from helpers import training

PAGE = (faq_page.ROOT / "book" / "how_to_run.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("(colab-drive)=\n")[2].partition("\n(")[0]
MOUNT, TRAIN = (code for code, _ in faq_page.find_blocks(SECTION))


@pytest.fixture
def write_for(tmp_path, monkeypatch):
    """Makes of the page's code one for a session whose Drive, as Colab mounts it, is a folder of that name."""
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(drive=SimpleNamespace(mount=mount)))

    def write(name):
        return (MOUNT + TRAIN).replace("/content/drive", str(tmp_path / name))

    return write


def mount(place):
    """As Colab does it: what lies in the Drive is seen in a folder MyDrive."""
    (Path(place) / "MyDrive").mkdir(parents=True, exist_ok=True)


def test_a_training_on_colab_goes_on_in_the_next_session(write_for, tmp_path):
    assert run_killed(write_for("drive"), epoch=3)[1] == [0, 1, 2, 3]
    file = tmp_path / "drive" / "MyDrive" / "vae.npz"
    assert file.exists()
    resumed, epochs = run_killed(write_for("drive"))
    assert 0 < epochs[0] <= 3
    assert epochs == list(range(epochs[0], 8))
    assert file.with_name("vae.npz.previous").exists()
    straight, _ = run_killed(write_for("another"))
    assert_same_end(resumed, straight, "vae")
    read, epochs = run_killed(write_for("drive"))
    assert epochs == []
    assert_same_end(read, straight, "vae")
    for old, new, name in (("decoder(10)", "decoder(10, (8,))", "model/decoder"), ("2e-3", "1e-3", "learning_rate")):
        assert old in TRAIN
        with pytest.raises(training.CheckpointError, match=f"was made with .*{name}.* = .*, this training has"):
            exec(write_for("drive").replace(old, new), {})
