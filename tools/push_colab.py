"""Pushes the copies of the chapters for Colab as a branch: `python -m tools.push_colab REMOTE [BUILD]`.

The branch has one commit: the last one of this checkout with the copies in place of the chapters, so that a chapter and
the helpers that it installs are of one state. It has no history, which would grow by all pictures with every push, and
no workflows. Only Python's own modules and git are needed, since whoever may push should run nothing else.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "colab"
LEFT_OUT = ".github"
AUTHOR = {"NAME": "generative-book", "EMAIL": "generative-book@users.noreply.github.com"}


def commit_copies(folder: Path, root: Path = ROOT) -> str:
    """Makes the commit from the files in a folder, at their paths below it, and returns its name.

    The same copies of the same commit make the same one. What the checkout has staged stays as it is.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise ValueError(f"there are no copies in {folder}: make publish URL=https://github.com/OWNER/NAME")
    source, date = git(root, "log", "-1", "--format=%H %cI").split()
    roles = ("AUTHOR", "COMMITTER")
    names = {f"GIT_{role}_{key}": value for role in roles for key, value in (AUTHOR | {"DATE": date}).items()}
    with tempfile.TemporaryDirectory() as index:
        own = {**names, "GIT_INDEX_FILE": str(Path(index, "index"))}
        git(root, "read-tree", source, **own)
        git(root, "rm", "-r", "--cached", "--quiet", "--ignore-unmatch", LEFT_OUT, **own)
        for path in paths:
            blob = git(root, "hash-object", "-w", str(path.resolve()))
            git(root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path.relative_to(folder)}", **own)
        tree = git(root, "write-tree", **own)
        return git(root, "commit-tree", tree, "-m", f"The chapters for Colab, of {source}", **own)


def push_copies(remote: str, folder: Path, root: Path = ROOT) -> str:
    """Puts the commit in place of what the branch was at a remote, and returns its name."""
    commit = commit_copies(folder, root)
    git(root, "push", "--quiet", "--force", remote, f"{commit}:refs/heads/{BRANCH}")
    return commit


def git(root: Path, *arguments: str, **environment: str) -> str:
    """Runs git in a folder and returns what it printed."""
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def main(remote: str = "origin", build: str = str(ROOT / "_build")) -> int:
    """Pushes, says what, and returns the exit status."""
    try:
        commit = push_copies(remote, Path(build, "colab"))
    except (ValueError, subprocess.CalledProcessError) as error:
        print(f"Not pushed: {error}", file=sys.stderr)
        return 1
    print(f"The branch {BRANCH} of {remote} is {commit}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
