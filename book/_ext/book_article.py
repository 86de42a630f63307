"""The directives that show the article against the book, roles for what was measured, and targets in the book.

Their rows come from book/article/*.toml; verdicts and measured values are computed by article.py here when the site is
built. Targets are at every code cell, {ref}`cell <cell-ID>` with its id in the notebook, and at every row of errata and
claims, {ref}`erratum <erratum-ID>` and {ref}`claim <claim-ID>` with the row's id.
"""

from pathlib import Path

import article
from book_tables import Table
from docutils import nodes
from sphinx.util.docutils import SphinxDirective, SphinxRole

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


def mark_chinese(app, doctree):
    """Mark the article's own words as Chinese, for screen readers; once smart quotes, which know none, are set."""
    for text in doctree.findall(nodes.paragraph):
        if text.astext().startswith("「"):
            text["classes"].append("language-zh")  # docutils writes it as lang="zh"


class ArticleTable(Table):
    """A table from one of the data files, with its rows in their order."""

    data = ""
    target = ""  # what the label of a row begins with, before its id

    def run(self):
        """The table, with a target at each row that has an id."""
        made = super().run()
        if self.target:
            lines = [row for part in made for row in part.findall(nodes.row)][1:]  # the first is the header
            for line, row in zip(lines, self.load(), strict=True):
                name = f"{self.target}-{row['id']}"
                line["ids"].append(name)
                self.env.get_domain("std").note_hyperlink_target(name, self.env.docname, name, "")
        return made

    def load(self):
        """The rows of the data file, which is noted as a dependency."""
        self.env.note_dependency(str(article.FOLDER / f"{self.data}.toml"))
        return article.read_rows(self.data)

    def point_to(self, row):
        """The places in the book that a row names: a cell of a chapter, a figure beside it, a page."""
        parts = []
        if "cell" in row:
            parts.append(f"{{ref}}`{self.name_chapter(row)} <cell-{row['cell'].lower()}>`")
        elif "chapter" in row:
            parts.append(f"{{doc}}`{self.name_chapter(row)} </notebooks/{row['chapter']}>`")
        if "figure" in row:
            parts.append(f"{{numref}}`{row['figure']}`")
        if "page" in row:
            parts.append(f"{{ref}}`{row['page']}`")
        return ", ".join(parts)

    def name_chapter(self, row):
        return self.config.external_site_map[f"notebooks/{row['chapter']}"].title  # the short one of _toc.yml

    def point_to_place(self, place):
        """A chapter by its short title, any other place by its own."""
        if place.startswith("ch-"):
            return f"{{ref}}`{self.name_chapter({'chapter': place[3:].replace('-', '_')})} <{place}>`"
        return f"{{ref}}`{place}`"


class ArticleMap(ArticleTable):
    """One row for each section of the article: what it holds, and where in the book."""

    header, data = ("§", "What it holds", "Where in the book"), "sections"

    def rows(self):
        for row in self.load():
            places = [f"{{ref}}`{place}`" for place in row.get("places", [])]
            yield row["section"], row["holds"], ", ".join(places) or "*planned*"


class ArticleStatements(ArticleTable):
    """One row for each statement of the article: what it says, and what the book has of it."""

    header, data = ("§", "What the article says", "In this book"), "statements"

    def rows(self):
        for name in ("claims", "metrics"):
            self.env.note_dependency(str(article.FOLDER / f"{name}.toml"))
        verdicts = {claim["id"]: article.judge(claim).verdict for claim in article.read_rows("claims")}
        for row in self.load():
            parts = [f"{{ref}}`{verdicts[name]} <claim-{name}>`" for name in row.get("claims", [])]
            errata = row.get("errata", [])
            for number, name in enumerate(errata, 1):
                words = "erratum" if len(errata) == 1 else f"erratum {number}" if number == 1 else number
                parts.append(f"{{ref}}`{words} <erratum-{name}>`")
            parts += [self.point_to_place(place) for place in row.get("places", [])]
            yield row["section"], row["says"], ", ".join(parts) or f"*{article.UNTESTED}*"


class ErrataList(ArticleTable):
    """One row for each defect of the article: what is printed there, its words, what holds, and what shows it."""

    header, data, target = ("§", "Printed", "In its words", "What holds", "Shown in"), "errata", "erratum"

    def rows(self):
        for row in self.load():
            yield row["section"], row["printed"], quote(row), row["holds"], self.point_to(row)


class ClaimsList(ArticleTable):
    """One row for each claim with rules: its words, the comparisons, what was measured, the verdict, and where."""

    tested = True
    header, data, target = ("§", "Claim", "Asked for and measured", "Verdict", "See"), "claims", "claim"

    def load(self):
        return [claim for claim in super().load() if ("rules" in claim) == self.tested]

    def rows(self):
        self.env.note_dependency(str(article.FOLDER / "metrics.toml"))
        for claim in self.load():
            judged = article.judge(claim)
            asked = [
                f"- {article.describe_rule(rule, found)}"
                for rule, found in zip(claim.get("rules", ()), judged.measured, strict=True)
            ]
            later = {"before": "", "after": " †"}[claim.get("rule_set", "before")]
            yield (
                claim["section"],
                f"{claim['claim']}\n\n{quote(claim)}",
                "\n".join(asked) or claim.get("why", claim.get("until")),
                f"**{judged.verdict}**{later}",
                self.point_to(claim) or "–",
            )


class ClaimsOpen(ClaimsList):
    """One row for each claim without rules: its words, and why it has none."""

    tested = False
    header = ("§", "Claim", "Why", "Verdict", "See")


def quote(row):
    """The article's own words, in its marks; of code as code."""
    words = row["quote"]
    return words if words.startswith("`") and words.endswith("`") else f"「{words}」"


class ClaimsCount(SphinxDirective):
    """Two lines: how many claims there are, and how many of each verdict; how many of these stand under a dagger."""

    def run(self):
        self.env.note_dependency(str(article.FOLDER / "claims.toml"))
        claims = article.read_rows("claims")
        verdicts = [article.judge(claim).verdict for claim in claims]
        counts = [verdicts.count(verdict) for verdict in article.VERDICTS]
        told = "Claims: {}. They hold: {}; hold with limits: {}; fail: {}; not testable here: {}; not tested yet: {}."
        later = f"{article.describe_daggers(claims)}: read those as descriptions of what was measured, not as tests."
        return [nodes.paragraph(text=text) for text in (told.format(len(verdicts), *counts), later)]


class OverSeedsRole(SphinxRole):
    """{over-seeds}`bands:CHAPTER/METRIC` and {over-seeds}`checks:CHAPTER/NAME`, as `article.tell_metric` tells them."""

    def run(self):
        return [nodes.Text(article.tell_metric(self.text))], []


class SpreadRole(SphinxRole):
    """{spread-over-seeds}`bands:CHAPTER/METRIC`: the mean with the least and the most, by `article.tell_spread`."""

    def run(self):
        return [nodes.Text(article.tell_spread(self.text))], []


def setup(app):
    app.add_role("over-seeds", OverSeedsRole())
    app.add_role("spread-over-seeds", SpreadRole())
    app.add_directive("article-map", ArticleMap)
    app.add_directive("article-statements", ArticleStatements)
    app.add_directive("errata-list", ErrataList)
    app.add_directive("claims-list", ClaimsList)
    app.add_directive("claims-open", ClaimsOpen)
    app.add_directive("claims-count", ClaimsCount)
    app.connect("doctree-read", mark_cells)
    app.connect("doctree-read", mark_chinese)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
