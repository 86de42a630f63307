"""The rows that a GPU gives to the page of costs; there is none here, so TensorFlow and the runs are stand-ins."""

import json
from types import SimpleNamespace

import pytest
from nbclient.exceptions import DeadKernelError

from tools import gpu
from tools.digest import Code


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "FILE", tmp_path / "gpu.json")
    return tmp_path / "gpu.json"


def with_a_gpu(monkeypatch, run):
    monkeypatch.setattr(gpu.tf.config, "list_physical_devices", lambda kind: [kind])
    monkeypatch.setattr(gpu, "run_notebook", run)


def test_without_a_gpu_nothing_is_written_and_one_sentence_says_so(file, capsys):
    assert gpu.main([]) == 1
    assert capsys.readouterr().err == f"{gpu.NO_GPU}\n"
    assert not file.exists()


def test_each_chapter_leaves_a_row_of_its_code_and_runs_in_full_with_all_threads(file, monkeypatch):
    seen = []

    def run(path, environment):
        seen.append((path.stem, environment["BOOK_PROFILE"], "OMP_NUM_THREADS" in environment))
        return SimpleNamespace(seconds=61.23, peak_memory_mb=2_000)

    with_a_gpu(monkeypatch, run)
    assert gpu.main([]) == 0
    assert seen == [(name, "full", False) for name in ("gan", "vae", "flow")]
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert rows["vae"]["seconds"] == 61.2
    assert rows["vae"]["digest"] == Code().digest_chapter("vae", "full")
    assert rows["vae"]["versions"]["tensorflow"]


def test_a_chapter_that_fails_keeps_the_others_and_its_own_old_row(file, monkeypatch, capsys):
    file.write_text('{"gan": {"seconds": 5.0}}', encoding="utf-8")

    def run(path, environment):
        if path.stem == "gan":
            raise DeadKernelError("out of memory")
        return SimpleNamespace(seconds=1.0, peak_memory_mb=1)

    with_a_gpu(monkeypatch, run)
    assert gpu.main(["gan", "vae"]) == 1
    assert "gan failed" in capsys.readouterr().err
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert rows["gan"] == {"seconds": 5.0}
    assert rows["vae"]["seconds"] == 1.0
