"""Names what was measured with other code or other versions: `python -m tools.stale` prints a line for each.

Nothing here is red but stored outputs, which a minute of `make execute` mends: what must be red is a number outside its
band. `make fresh` measures again exactly what is named here.
"""

import sys
from collections.abc import Iterator
from typing import NamedTuple

from helpers.book.bands import MINIMUM_SEEDS
from tools.digest import PINNED, Code, find_unpinned, hash_file
from tools.notebook_files import chapters, read
from tools.recording import read_json

NONE, OTHER_CODE = "not measured yet", "of other code"
OLDER = "measured before digests were of definitions"


class Stale(NamedTuple):
    """Something stored that does not belong to the code; kind: outputs, bands, full, studies or weights."""

    kind: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.reason}"


def find_stale(code: Code | None = None) -> list[Stale]:
    """Everything stored in a tree of the book that is not of its code or of the versions that it pins."""
    code = code or Code()
    names = [path.stem for path in chapters(root=code.root)]
    of_studies = list(_find_studies(code))
    found = [*_find_outputs(code, names), *_find_bands(code, names), *_find_full(code, names), *of_studies]
    return found + list(_find_weights(code, {one.name: one.reason for one in of_studies}))


def read_metadata(code: Code, chapter: str) -> dict:
    """What a chapter's notebook holds under `book`."""
    return read(code.root / "notebooks" / f"{chapter}.ipynb").metadata.get("book", {})


def find_seeds(code: Code, chapter: str) -> int:
    """How many seeds a chapter's full run has: three, or as many as its notebook asks for."""
    return read_metadata(code, chapter).get("full_seeds", MINIMUM_SEEDS["full"])


def _find_outputs(code: Code, names: list[str]) -> Iterator[Stale]:
    for name in names:
        book = read_metadata(code, name)
        if book.get("digest") != code.digest_chapter(name, "outputs"):
            yield Stale("outputs", name, OTHER_CODE if "cpu_seconds" in book else OLDER if "digest" in book else NONE)


def _find_bands(code: Code, names: list[str]) -> Iterator[Stale]:
    stored = read_json(code.root / "results" / "bands" / "quick.json")
    for name in names:
        if reason := judge(code, stored.get(name), code.digest_chapter(name, "quick")):
            yield Stale("bands", name, reason)


def _find_full(code: Code, names: list[str]) -> Iterator[Stale]:
    """Of a chapter's full run: its record, its bands, and whether it has all seeds that the chapter asks for."""
    stored = read_json(code.root / "results" / "bands" / "full.json")
    for name in names:
        digest, seeds = code.digest_chapter(name, "full"), find_seeds(code, name)
        record = read_json(code.root / "results" / "full" / f"{name}.json")
        reason = judge(code, record, digest) or judge(code, stored.get(name), digest)
        if not reason and len(stored[name]["seeds"]) < seeds:
            reason = f"of fewer than {seeds} seeds"
        if reason:
            yield Stale("full", name, reason)


def _find_studies(code: Code) -> Iterator[Stale]:
    for name in code.studies():
        record = read_json(code.root / "results" / "full" / f"{name}.json")
        reason = judge(code, record, code.digest_study(name))
        if not reason and "missing" in record:
            reason = f"lacks {'; '.join(record['missing'])}"
        if reason:
            yield Stale("studies", name, reason)


def _find_weights(code: Code, studies: dict[str, str]) -> Iterator[Stale]:
    """Shipped weights: those that no record names, that a record names with other bytes, or of a stale study."""
    makers = {}
    for name in code.studies():
        record = read_json(code.root / "results" / "full" / f"{name}.json")
        makers |= {file: (name, digest) for file, digest in record.get("weights", {}).items()}
    for file in sorted((code.root / "results" / "weights").glob("*.npz")):
        study, digest = makers.get(file.name, (None, None))
        if study is None:
            yield Stale("weights", file.name, "made by no study that has a record")
        elif digest != hash_file(file):
            yield Stale("weights", file.name, f"not the file that the record of {study} tells of")
        elif study in studies:
            yield Stale("weights", file.name, f"made by the study {study}, whose record is {studies[study]}")


def judge(code: Code, stored: dict | None, digest: str) -> str:
    """Why stored values are not those of the code with this digest; nothing where they are."""
    if not stored:
        return NONE
    if not isinstance(stored.get("machine"), dict):  # the form of records and bands until November 28, 2026
        return OLDER
    if stored["digest"] == digest:
        return ""
    pinned = {name: code.pins[name] for name in PINNED if name in code.pins}
    other = {name: found for name, found in stored["versions"].items() if found != pinned.get(name, found)}
    told = (f"{name} {found}, pinned is {pinned[name]}" for name, found in other.items())
    return f"with {', '.join(told)}" if other else OTHER_CODE


def main() -> int:
    """Prints what is stale; says on the error stream where other versions are installed than pinned."""
    unpinned = find_unpinned()
    if unpinned:
        print(f"Not judged: the pinned versions are not installed, but {unpinned}.", file=sys.stderr)
        return 0
    for one in find_stale():
        print(one)
    return 0


if __name__ == "__main__":
    sys.exit(main())
