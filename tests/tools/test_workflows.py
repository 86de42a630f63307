"""What GitHub runs: pinned, with no more rights than needed, and through the targets that everyone has; releases."""

import re
from pathlib import Path

import pytest
import yaml

from tools import release
from tools.notebook_files import ROOT
from tools.plain_sphinx import FROM_JUPYTER_BOOK, PACKAGES, make_settings
from tools.push_colab import BRANCH

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
JOBS = [
    pytest.param(job, id=f"{path.stem}-{name}")
    for path in WORKFLOWS
    for name, job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].items()
]
# The only jobs that may write anything, and what.
WRITERS = {
    "pages-colab": {"contents"},
    "pages-deploy": {"pages", "id-token"},
    "release-release": {"contents"},
    "weekly-tell": {"issues"},
}


def find_unpinned(text: str) -> list[str]:
    """The actions of a workflow without a digest, or without the version that it is of in a comment."""
    used = re.findall(r"uses: (.+)", text)
    return [one for one in used if not re.fullmatch(r"\./\S+( #.*)?|[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)]


def find_writers(paths: list[Path]) -> dict[str, set[str]]:
    """What each job, WORKFLOW-JOB, may write; a workflow that says nothing of its rights may write all."""
    found = {}
    for path in paths:
        workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, job in workflow["jobs"].items():
            rights = job.get("permissions", workflow.get("permissions", {"all": "write"}))
            found[f"{path.stem}-{name}"] = {right for right, level in rights.items() if level == "write"}
    return {job: rights for job, rights in found.items() if rights}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_digest(path: Path) -> None:
    assert find_unpinned(path.read_text(encoding="utf-8")) == []


def test_the_same_action_has_the_same_digest_everywhere() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"uses: (\S+@\S+)", path.read_text(encoding="utf-8"))}
    assert len(used) == len({line.partition("@")[0] for line in used})


@pytest.mark.parametrize("used", ["actions/checkout@v7", f"actions/checkout@{'a' * 40}", f"a/b@{'A' * 40} # v1.0.0"])
def test_an_action_without_a_digest_is_seen(used: str) -> None:
    assert find_unpinned(f"- uses: {used}\n") == [used]


def test_only_four_jobs_may_write() -> None:
    assert find_writers(WORKFLOWS) == WRITERS


def test_a_workflow_that_asks_for_no_rights_is_seen(tmp_path: Path) -> None:
    (tmp_path / "w.yml").write_text("jobs: {a: {runs-on: x}}", encoding="utf-8")
    assert find_writers([tmp_path / "w.yml"]) == {"w-a": {"all"}}


@pytest.mark.parametrize("job", JOBS)
def test_a_job_ends_and_runs_targets_that_there_are(job: dict) -> None:
    assert "uses" in job or job["timeout-minutes"] <= 90
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = [step.get("run", "") for step in job.get("steps", [])]
    targets = [target for command in commands for target in re.findall(r"^make (\S+)", command, re.MULTILINE)]
    assert [target for target in targets if not re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)] == []


def test_whoever_may_write_installs_nothing() -> None:
    for name in WRITERS:
        workflow, _, job = name.partition("-")
        text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text(encoding="utf-8")
        steps = yaml.safe_load(text)["jobs"][job]["steps"]
        commands = "\n".join(step.get("run", "") for step in steps)
        assert not re.search(r"pip|make (?!push-colab$)", commands), name


def test_the_branch_for_colab_starts_no_tests() -> None:
    pushed = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))[True]["push"]
    assert BRANCH in pushed["branches-ignore"]


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda p: p.stem)
def test_an_issue_form_has_what_github_asks_for(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    ids = [field["id"] for field in form["body"]]
    assert len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in form["body"])


# The way out of Jupyter Book


def test_plain_sphinx_has_all_settings_and_nothing_of_jupyter_book() -> None:
    settings: dict = {}
    exec(make_settings(), settings)
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
    assert set(config["extensions"]) - FROM_JUPYTER_BOOK <= set(settings["extensions"])
    assert not FROM_JUPYTER_BOOK & set(settings["extensions"])
    assert {name: settings[name] for name in ("mathjax_path", "bibtex_reference_style")}.items() <= config.items()
    own = {path.stem for path in (ROOT / "book" / "_ext").glob("*.py")}
    known = {name.replace("-", "_").replace(".", "_") for name in PACKAGES} | {"sphinxcontrib_bibtex"}
    assert {name.replace(".", "_") for name in settings["extensions"] if name not in own} <= known


# Releases


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n', encoding="utf-8")
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\nversion: 1.2.0\n", encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text("# Changes\n\n## 1.2.0\n\nNew.\n\n## 1.1.0\n\nOld.\n", encoding="utf-8")
    return tmp_path


def test_this_book_names_one_version() -> None:
    versions = release.read_versions()
    assert len(set(versions.values())) == 1, versions
    assert release.read_notes(versions["pyproject.toml"])


def test_the_notes_are_those_of_the_version(book: Path) -> None:
    assert release.read_notes("1.2.0", book) == "New."


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("pyproject.toml", "1.2.0", "1.1.0"),
        ("CITATION.cff", "\nversion: 1.2.0", ""),
        ("CHANGELOG.md", "## 1.2.0\n\nNew.\n\n", ""),
        ("CHANGELOG.md", "New.", ""),
    ],
)
def test_a_version_that_is_not_named_everywhere_is_refused(book: Path, name: str, old: str, new: str) -> None:
    (book / name).write_text((book / name).read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=rf"cannot be released: .*{name}"):
        release.read_notes("1.2.0", book)
