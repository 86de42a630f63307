"""What is named as stale, and why."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tools import recording, stale
from tools.digest import Code


@pytest.fixture
def book(make_book: Callable) -> Path:
    return make_book()


def entry(book: Path, digest: str, **more: object) -> dict:
    return {"digest": digest, **recording.describe_run(1), "commit": "abc", "seeds": [0, 1, 2], **more}


def store(book: Path, **changes: object) -> None:
    """Stores the chapter's bands as they should be, but for changes."""
    digest = Code(book).digest_chapter("toy", "quick")
    recording.write_json({"toy": entry(book, digest) | changes}, book / "results" / "bands" / "quick.json")


def reason_of(book: Path, kind: str, name: str) -> str | None:
    return next((one.reason for one in stale.find_stale(Code(book)) if (one.kind, one.name) == (kind, name)), None)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"digest": "d"}, "of other code"),
        ({"digest": "d", "versions": {"tensorflow": "2.19.0"}}, "with tensorflow 2.19.0, pinned is 2.20.0"),
        ({"digest": "d", "versions": {"tensorflow": "2.20.0", "python": "3.9"}}, "of other code"),
        ({"machine": "x86_64"}, "measured before digests were of definitions"),
    ],
)
def test_bands_are_named_with_the_reason(book: Path, changes: dict, reason: str | None) -> None:
    store(book, **changes)
    assert reason_of(book, "bands", "toy") == reason


def test_a_full_run_needs_a_record_and_bands_of_its_code(book: Path) -> None:
    digest = Code(book).digest_chapter("toy", "full")
    recording.write_json(entry(book, digest), book / "results" / "full" / "toy.json")
    assert reason_of(book, "full", "toy") == stale.NONE  # no bands
    recording.write_json({"toy": entry(book, "d")}, book / "results" / "bands" / "full.json")
    assert reason_of(book, "full", "toy") == stale.OTHER_CODE
    recording.write_json({"toy": entry(book, digest)}, book / "results" / "bands" / "full.json")
    assert reason_of(book, "full", "toy") is None


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({}, "made by the study small, whose record is of other code"),
        ({"weights": {"toy.npz": "0"}}, "not the file that the record of small tells of"),
        ({"weights": {}}, "made by no study that has a record"),
    ],
)
def test_weights_are_named_with_the_study_that_made_them(book: Path, record: dict, reason: str) -> None:
    weights = {"toy.npz": stale.hash_file(book / "results" / "weights" / "toy.npz")}
    stored = entry(book, "d", weights=weights) | record
    recording.write_json(stored, book / "results" / "full" / "small.json")
    assert reason_of(book, "weights", "toy.npz") == reason


def test_nothing_is_judged_on_other_versions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(stale, "find_unpinned", lambda: {"keras": "4.0"})
    assert stale.main() == 0
    said = capsys.readouterr()
    assert (said.out, "Not judged" in said.err) == ("", True)


def test_a_line_says_kind_name_and_reason() -> None:
    assert str(stale.Stale("bands", "vae", "of other code")) == "bands vae: of other code"
