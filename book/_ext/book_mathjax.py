"""Serve MathJax from the site itself, so that pages show their maths offline.

The package sphinx-mathjax-offline carries all of MathJax 3.2.2 (24 MB); this copies the parts that pages load (2 MB).
It runs at build time, so nothing of MathJax is committed.
"""

import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from sphinx.errors import ExtensionError

PARTS = ("tex-chtml.js", "output/chtml/fonts/woff-v2/*.woff", "input/tex/extensions/*.js")
LEFT_OUT = {"all-packages.js"}  # MathJax loads each extension by itself


def copy_mathjax(app):
    if app.builder.format != "html":
        return
    try:
        package = distribution("sphinx-mathjax-offline")
    except PackageNotFoundError:
        raise ExtensionError("MathJax is missing: install the package sphinx-mathjax-offline.") from None
    source = Path(package.locate_file("sphinx-mathjax-offline/static/mathjax"))
    target = Path(app.outdir, "_static", "mathjax")
    for part in PARTS:
        found = sorted(source.glob(part))
        if not found:
            raise ExtensionError(f"MathJax is incomplete: no {part} in {source}.")
        for path in found:
            if path.name not in LEFT_OUT:
                copy = target / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)


def setup(app):
    app.connect("builder-inited", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
