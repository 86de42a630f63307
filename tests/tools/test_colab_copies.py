"""Copies of the chapters for Colab: what becomes of each construction, and the branch that carries them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.tools.conftest import commit_all
from tools import push_colab
from tools.colab_copies import Page, copy_chapter, format_blocks
from tools.notebook_files import setup_source, setup_values

PAGE = Page(
    root="https://o.github.io/n/",
    path="notebooks/vae.html",
    title="VAE",
    numbers={"fig-a": "Fig. 7.1", "tab-a": "Table 7.1", "eq-a": "(7.2)"},
    says={
        "numref fig-a": [["Fig. 7.1", "notebooks/vae.html#fig-a"]],
        "eq eq-b": [["(6.1)", "notebooks/gan.html#equation-eq-b"]],
        "ref ch-gan": [["GAN", "notebooks/gan.html#ch-gan"]],
        "ref ch-gan as GAN's page": [["GAN’s page", "notebooks/gan.html#ch-gan"]],
        "p a,b": [["[", None], ["A, 2020", "book/b.html#1"], ["; ", None], ["B, 2021", "book/b.html#2"], ["]", None]],
        "t a": [["A [", None], ["2020", "book/b.html#1"], ["]", None]],
    },
)
ROOT = PAGE.root
TABLE = """\
:::{list-table} Words
:header-rows: 1
:name: tab-a

* - a
  - b
* - $|x|$
  - `y|z`
    more

    end
:::"""
BOXED = "> **A**\n>\n> |  |  |\n> | --- | --- |\n> | a |  |"


@pytest.mark.parametrize(
    ("myst", "plain"),
    [
        ("see {numref}`fig-a`, above", "see Fig. 7.1, above"),
        ("{eq}`eq-b`", f"[(6.1)]({ROOT}notebooks/gan.html#equation-eq-b)"),
        ("{ref}`ch-gan`", f"[GAN]({ROOT}notebooks/gan.html#ch-gan)"),
        ("{ref}`GAN's page <ch-gan>`", f"[GAN’s page]({ROOT}notebooks/gan.html#ch-gan)"),
        ("x {cite}`a,b`.", f"x [[A, 2020]({ROOT}book/b.html#1); [B, 2021]({ROOT}book/b.html#2)]."),
        ("{cite:t}`a`", f"A [[2020]({ROOT}book/b.html#1)]"),
        ("(ch-vae)=\n# VAE", "# VAE"),
        ("$$\nx\n$$ (eq-a)", "$$\nx\n\\tag{7.2}\n$$"),
        ("$$\nx\n$$", "$$\nx\n$$"),
        (":::{admonition} One {ref}`ch-gan`\n:class: tip\n\na\n\nb\n:::\nc", None),
        ("````{dropdown} Hint\n```python\n{ref}`ch-gan`\n```\n````", None),
        (TABLE, None),
        ("::::{admonition} A\n:::{list-table}\n* - a\n  -\n:::\n::::", BOXED),
        ("```python\n(x)=\n$$ (eq-a)\n```", "```python\n(x)=\n$$ (eq-a)\n```"),
    ],
)
def test_a_construction_becomes_plain_markdown(myst: str, plain: str | None) -> None:
    longer = {
        ":::{adm": f"> **One [GAN]({ROOT}notebooks/gan.html#ch-gan)**\n>\n> a\n>\n> b\nc",
        "````{dr": "<details>\n<summary>Hint</summary>\n\n```python\n{ref}`ch-gan`\n```\n\n</details>",
        ":::{lis": "**Table 7.1.** Words\n\n| a | b |\n| --- | --- |\n| $\\vert x\\vert $ | `y\\|z` more<br>end |",
    }
    assert "\n".join(format_blocks(PAGE, myst.split("\n"))) == (plain or longer[myst[:7]])


@pytest.mark.parametrize("myst", [":::{margin}\nx\n:::", "{ref}`gone`", "$$\nx\n$$ (gone)"])
def test_what_it_does_not_know_is_an_error_not_a_gap(myst: str) -> None:
    with pytest.raises(KeyError):
        format_blocks(PAGE, myst.split("\n"))


def test_a_copy_keeps_the_code_and_tells_where_it_is_from() -> None:
    figure = {"mystnb": {"figure": {"name": "fig-a", "caption": "What {cite:t}`a` saw."}}, "tags": ["hide-input"]}
    cells = [
        new_markdown_cell("(ch-vae)=\n# VAE"),
        new_code_cell(setup_source("", "main"), metadata={"book": {"setup": True}}),
        new_code_cell("draw()", metadata=figure, id="vae-draw"),
    ]
    copy = copy_chapter(new_notebook(cells=cells), PAGE, "https://github.com/o/n")
    title, told, setup, drawing, caption = copy.cells
    assert title.source == "# VAE"
    assert f"[VAE]({ROOT}notebooks/vae.html)" in told.source
    assert setup_values(setup.source) == ("https://github.com/o/n", "colab")
    assert drawing.source == "draw()"
    assert drawing.metadata["cellView"] == "form"
    assert caption.source == f"**Fig. 7.1.** What A [[2020]({ROOT}book/b.html#1)] saw."


# The branch


@pytest.fixture
def pushed(make_book: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A book with a workflow and a change that is not committed, a copy of its chapter, and an empty repository."""
    root, copies = make_book(), tmp_path_factory.mktemp("copies")
    remote = tmp_path_factory.mktemp("remote")
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    (root / ".github").mkdir()
    (root / ".github" / "test.yml").write_text("on: push\n", encoding="utf-8")
    commit_all(root)
    (root / "helpers" / "first.py").write_text("changed = True\n", encoding="utf-8")
    (copies / "notebooks").mkdir()
    (copies / "notebooks" / "toy.ipynb").write_text("a copy\n", encoding="utf-8")
    return root, copies, remote


def show(remote: Path, *arguments: str) -> str:
    command = ["git", "-C", remote, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_branch_is_the_commit_with_the_copies_in_place(pushed: tuple[Path, Path, Path]) -> None:
    root, copies, remote = pushed
    head, before = show(root, "rev-parse", "HEAD").strip(), show(root, "status", "--porcelain")
    push_colab.push_copies(str(remote), copies, root)
    names, expected = show(remote, "ls-tree", "-r", "--name-only", "colab"), show(root, "ls-files")
    assert names.split() == [name for name in expected.split() if not name.startswith(".github/")]
    assert show(remote, "show", "colab:notebooks/toy.ipynb") == "a copy\n"
    assert show(remote, "show", "colab:helpers/first.py") == show(root, "show", "HEAD:helpers/first.py")
    assert show(remote, "log", "--format=%s", "colab") == f"The chapters for Colab, of {head}\n"
    assert (show(root, "rev-parse", "HEAD").strip(), show(root, "status", "--porcelain")) == (head, before)


def test_the_branch_is_written_anew_and_the_same_push_changes_nothing(pushed: tuple[Path, Path, Path]) -> None:
    root, copies, remote = pushed
    first = push_colab.push_copies(str(remote), copies, root)
    assert push_colab.push_copies(str(remote), copies, root) == first
    (copies / "notebooks" / "toy.ipynb").write_text("another\n", encoding="utf-8")
    assert push_colab.push_copies(str(remote), copies, root) != first
    assert show(remote, "rev-list", "--count", "colab") == "1\n"


def test_without_copies_nothing_is_pushed(pushed: tuple[Path, Path, Path], tmp_path: Path, capsys) -> None:
    _, _, remote = pushed
    assert push_colab.main(str(remote), str(tmp_path / "nowhere")) == 1
    assert "make publish URL=" in capsys.readouterr().err
    assert show(remote, "branch") == ""


def test_what_pushes_runs_no_package() -> None:
    """Whoever may write to the repository, the job that pushes, must not install anything."""
    code = f"import sys; sys.path.insert(0, {str(push_colab.ROOT)!r}); import tools.push_colab"
    subprocess.run(["python3", "-I", "-S", "-c", code], check=True)
