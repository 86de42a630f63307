"""A directive that makes a table of rows of text; those of costs and of the article are made of it."""

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


class Table(SphinxDirective):
    """A table made of rows of text, with a name and a caption; what a subclass reads, it notes as a dependency.

    stacked: on a narrow page each row becomes a list. widths: of the columns, in per cent.
    """

    option_spec = {  # noqa: RUF012
        "name": directives.unchanged_required,
        "caption": directives.unchanged_required,
        "widths": directives.unchanged_required,
        "stacked": directives.flag,
    }
    header = ()
    empty = "Nothing has been measured yet."

    def rows(self):
        """Yields the rows, each as many texts as the header has; a text may be of several lines, such as a list."""
        raise NotImplementedError

    def run(self):
        rows = list(self.rows())
        if not rows:
            return [nodes.paragraph(text=self.empty)]
        lines = [
            f":::{{list-table}} {self.options['caption']}",
            ":header-rows: 1",
            f":name: {self.options['name']}",
        ]
        lines += [f":widths: {self.options['widths']}"] if "widths" in self.options else []
        lines += [":class: stacked", ""] if "stacked" in self.options else [""]
        for row in (self.header, *rows):
            for place, text in enumerate(row):
                first, *more = text.splitlines() or [""]
                lines += [f"{'* -' if place == 0 else '  -'} {first}", *(f"    {line}" for line in more)]
        holder = nodes.Element()
        table = StringList([*lines, ":::"], source=self.env.doc2path(self.env.docname))
        self.state.nested_parse(table, self.content_offset, holder)
        return holder.children
