"""The stored records and bands: whole, true to one another, and of code that git can find."""

import json
import subprocess
from pathlib import Path

import pytest

from helpers.book import records
from helpers.book.bands import MINIMUM_SEEDS, WITHIN, form_band
from tools import measure, recording
from tools.digest import Code
from tools.notebook_files import ROOT, chapters, read


def read_stored(root: Path) -> dict[str, dict]:
    """Every record and band entry of a book, by the name of its digest."""
    found = {}
    for profile in ("quick", "full"):
        entries = recording.read_json(root / "results" / "bands" / f"{profile}.json")
        found |= {f"{profile} {name}, bands": entry for name, entry in entries.items()}
    of_chapters = {path.stem for path in chapters(root=root)}
    for file in sorted((root / "results" / "full").glob("*.json")):
        found[f"{'full' if file.stem in of_chapters else 'study'} {file.stem}"] = recording.read_json(file)
    return found


def find_unfounded(root: Path, scratch: Path) -> list[str]:
    """The records and bands whose digest the code of their commit does not have."""
    of_commits: dict[str, Code] = {}
    wrong = []
    for name, stored in read_stored(root).items():
        if not isinstance(stored.get("machine"), dict):
            continue  # of the older form, which tools.stale names
        commit, tree = stored["commit"], scratch / stored["commit"]
        if commit not in of_commits:
            tree.mkdir(parents=True, exist_ok=True)
            archive = subprocess.run(["git", "-C", root, "archive", commit], check=True, capture_output=True).stdout
            subprocess.run(["tar", "-x", "-C", tree], input=archive, check=True)
            of_commits[commit] = Code(tree)
        if find_digest(of_commits[commit], *name.removesuffix(", bands").split()) != stored["digest"]:
            wrong.append(name)
    return wrong


def find_digest(code: Code, kind: str, name: str) -> str:
    """The digest that a tree has for quick or full of a chapter, or for a study."""
    return code.digest_study(name) if kind == "study" else code.digest_chapter(name, kind)


def test_the_code_of_every_record_and_band_is_in_its_commit(tmp_path: Path) -> None:
    commits = {one["commit"] for one in read_stored(ROOT).values() if isinstance(one.get("machine"), dict)}
    asked = [["git", "-C", ROOT, "cat-file", "-e", f"{commit}^{{commit}}"] for commit in commits]
    if not all(subprocess.run(command, capture_output=True).returncode == 0 for command in asked):
        pytest.skip("the history of git is not here: a clone of depth 1, or a copy")
    assert find_unfounded(ROOT, tmp_path) == []


def test_every_record_is_whole() -> None:
    for path in (ROOT / "results" / "full").glob("*.json"):
        records.check(json.loads(path.read_text(encoding="utf-8")), path.stem)


def test_the_bands_of_full_belong_to_the_records() -> None:
    for chapter, band in recording.read_json(ROOT / "results" / "bands" / "full.json").items():
        record = records.load(chapter)
        assert band["digest"] == record.stored.get("digest", record.stored.get("code_digest"))
        for name, entry in record.metrics.items():
            assert entry["values"] == band["metrics"][entry.get("band", name)]["values"]


# What lies inside a band of full, and why it may
INSIDE = {
    ("code_gan", "Frechet distance, short"): "two sigmoids, in one of three trainings, as the chapter says",
    ("code_vae_pytorch", "test NLL in Keras"): "the chapter asks that PyTorch's lies there",
    (
        "failures",
        "penalty, times nearer",
    ): "none: three seeds of 1.4 to 1.6 form a wide band; quick's excludes it",
    ("results", "Frechet distance, C minus A"): "none: three seeds form a wide band; quick's excludes it",
}


def test_the_bands_of_full_hold_no_broken_model() -> None:
    for chapter, band in recording.read_json(ROOT / "results" / "bands" / "full.json").items():
        record = records.load(chapter).stored
        for metric, values in record.get("held_against_bands", {}).items():  # older records do not say
            stored = band["metrics"][metric]
            formed = form_band(stored["values"], stored["worse"], stored["log"], MINIMUM_SEEDS["full"])
            inside = [value for value in values if formed.judge(value) == WITHIN]
            assert bool(inside) == ((chapter, metric) in INSIDE), f"{chapter} {metric}: {formed} holds {inside}"


def test_every_chapter_marks_the_picture_that_its_record_keeps() -> None:
    for path in chapters():
        if (ROOT / "results" / "full" / path.stem).exists():
            (cell,) = measure.find_figures(read(path))
            assert records.load(path.stem).find_picture().stem == cell.metadata.mystnb.figure.name
