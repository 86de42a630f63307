"""Name the PDF and the EPUB of the whole book in the pages that have a place for it, where there are such files.

The place is the directive `take-along`. The files are made of the site when it is built (`make pdf`, `make epub`) and
lie in its root; without them a page says nothing.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

NAME = "generative-models-measured"
KINDS = {".pdf": "PDF", ".epub": "EPUB"}
PLACE = re.compile(r'<p class="take-along">.*?</p>', re.DOTALL)


def link_files(site: Path) -> list[Path]:
    """Name the files that there are, with their sizes, in every place for them; return them."""
    files = [path for kind in KINDS if (path := site / f"{NAME}{kind}").is_file()]
    for page in site.glob("*/*.html"):
        html = page.read_text(encoding="utf-8")
        told = PLACE.sub(f'<p class="take-along">{tell_files(files)}</p>', html)
        if told != html:
            page.write_text(told, encoding="utf-8")
    return files


def tell_files(files: list[Path]) -> str:
    """A sentence with a link to each file; nothing where there is none."""
    links = [
        f'<a href="../{path.name}">{KINDS[path.suffix]}</a> ({max(1, round(path.stat().st_size / 1e6))} MB)'
        for path in files
    ]
    return f"Take the whole book along as a {' or an '.join(links)}." if links else ""


class TakeAlong(SphinxDirective):
    """A place for the sentence that names the files."""

    def run(self):
        return [nodes.raw("", '<p class="take-along"></p>', format="html")]


def link_at_end(app, exception):
    if exception is None and app.builder.format == "html":
        link_files(Path(app.outdir))


def setup(app):
    app.add_directive("take-along", TakeAlong)
    app.connect("build-finished", link_at_end)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
