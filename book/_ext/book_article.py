"""The directives `article-map`, `errata-list`, `claims-list` and `claims-count`, and a target at every code cell.

Their rows come from book/article/*.toml; verdicts and measured values are computed by article.py here when the site is
built. A row points to the cell that shows it: {ref}`cell <cell-ID>`, with the cell's id in the notebook.
"""

from pathlib import Path

import article
from book_tables import Table
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from tools.notebook_files import read


def mark_cells(app, doctree):
    """Give every code cell of a notebook the id and the label `cell-ID`, by which other pages can point to it."""
    docname = app.env.docname
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".ipynb":
        return
    cells = read(path).cells
    for node in doctree.findall(nodes.container):
        if node.get("nb_element") == "cell_code":
            name = f"cell-{cells[node['cell_index']].id}"
            node["ids"].append(name)
            app.env.get_domain("std").note_hyperlink_target(name, docname, name, "")


class ArticleTable(Table):
    """A table from one of the data files, with its rows in their order."""

    data = ""

    def load(self):
        """The rows of the data file, which is noted as a dependency."""
        self.env.note_dependency(str(article.FOLDER / f"{self.data}.toml"))
        return article.read_rows(self.data)

    def point_to(self, row):
        """The places in the book that a row names: a cell of a chapter, a figure beside it, a page."""
        parts = []
        if "cell" in row:
            title = self.config.external_site_map[f"notebooks/{row['chapter']}"].title  # the short one of _toc.yml
            parts.append(f"{{ref}}`{title} <cell-{row['cell'].lower()}>`")
        if "figure" in row:
            parts.append(f"{{numref}}`{row['figure']}`")
        if "page" in row:
            parts.append(f"{{ref}}`{row['page']}`")
        return ", ".join(parts)


class ArticleMap(ArticleTable):
    """One row for each section of the article: what it holds, and where in the book."""

    header, data = ("§", "What it holds", "Where in the book"), "sections"

    def rows(self):
        for row in self.load():
            places = [f"{{ref}}`{place}`" for place in row.get("places", [])]
            yield row["section"], row["holds"], ", ".join(places) or "*planned*"


class ErrataList(ArticleTable):
    """One row for each defect of the article: what is printed there, what holds, and the cell or page that shows it."""

    header, data = ("§", "Printed", "What holds", "Shown in"), "errata"

    def rows(self):
        for row in self.load():
            yield row["section"], row["printed"], row["holds"], self.point_to(row)


class ClaimsList(ArticleTable):
    """One row for each claim: the comparisons asked for, what was measured, the verdict, and where."""

    header, data = ("§", "Claim", "Asked for and measured", "Verdict", "Decided in"), "claims"

    def rows(self):
        self.env.note_dependency(str(article.FOLDER / "metrics.toml"))
        for claim in self.load():
            judged = article.judge(claim)
            asked = [
                f"- {article.describe_rule(rule, found)} {'✓' if met else '✗'}"
                for rule, found, met in zip(claim.get("rules", ()), judged.measured, judged.met, strict=True)
            ]
            later = {"before": "", "after": " †"}[claim.get("rule_set", "before")]
            yield (
                claim["section"],
                claim["claim"],
                "\n".join(asked) or claim["why"],
                f"**{judged.verdict}**{later}",
                self.point_to(claim) or "–",
            )


class ClaimsCount(SphinxDirective):
    """One line: how many claims there are, and how many of each verdict."""

    def run(self):
        self.env.note_dependency(str(article.FOLDER / "claims.toml"))
        verdicts = [article.judge(claim).verdict for claim in article.read_rows("claims")]
        counts = [verdicts.count(verdict) for verdict in article.VERDICTS]
        told = "Of {} claims {} hold, {} hold with limits, {} fail, and {} cannot be tested here."
        return [nodes.paragraph(text=told.format(len(verdicts), *counts))]


def setup(app):
    app.add_directive("article-map", ArticleMap)
    app.add_directive("errata-list", ErrataList)
    app.add_directive("claims-list", ClaimsList)
    app.add_directive("claims-count", ClaimsCount)
    app.connect("doctree-read", mark_cells)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
