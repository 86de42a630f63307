"""Says what is new in a version, and refuses one that is not named everywhere: `python -m tools.release v0.2.0`.

Without a version it takes that of `pyproject.toml`. Only Python's own modules are needed.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_versions(root: Path = ROOT) -> dict[str, str]:
    """The version that each file names: that of the package, the one to cite, and the newest one of the changelog."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    cited = re.search(r"^version: (\S+)$", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    newest = re.search(r"^## ([\d.]+)", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    found = {"CITATION.cff": cited, "CHANGELOG.md": newest}
    return {
        "pyproject.toml": project["project"]["version"],
        **{name: match[1] if match else "none" for name, match in found.items()},
    }


def read_notes(version: str, root: Path = ROOT) -> str:
    """What the changelog says of a version; raises ValueError where files name another, or where it says nothing."""
    others = {name: named for name, named in read_versions(root).items() if named != version}
    if others:
        told = ", ".join(f"{name} names {named}" for name, named in others.items())
        raise ValueError(f"Version {version} cannot be released: {told}.")
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    notes = re.search(rf"^## {re.escape(version)}\b.*\n((?:(?!## ).*\n?)*)", text, re.MULTILINE)[1].strip()
    if not notes:
        raise ValueError(f"Version {version} cannot be released: CHANGELOG.md says nothing of it.")
    return notes


def main(arguments: list[str]) -> int:
    """Prints the notes and returns the exit status."""
    version = arguments[0].removeprefix("v") if arguments else read_versions()["pyproject.toml"]
    try:
        print(read_notes(version))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
