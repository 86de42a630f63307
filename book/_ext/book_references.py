"""Write down what each reference of a chapter says on the site, for copies of the chapters that Sphinx does not build.

`references.json` lies beside the folder of the site. By chapter it has the title; `numbers`, what figures, tables and
equations are called; and `says`, the text of each reference as pieces with the address, from the root of the site, that
each leads to. A reference is named by its type, its target and, if it has one, its own text: tell_key.
"""

import json
from pathlib import Path
from posixpath import dirname, join, normpath

from docutils import nodes
from sphinx import addnodes

FOLDER = "notebooks/"
FORMATS = {"displaymath": "(%s)"}  # what no setting of Sphinx has a form for


def tell_key(kind, target, text=""):
    """The name of a reference in `says`, in straight quotes: Sphinx curls those of its text."""
    return " ".join([kind, target, *([f"as {text}"] if text else [])]).replace("’", "'")


def read_pieces(node, page):
    """The text of a resolved reference as [text, address or None] pieces; page: the address of its page."""
    if isinstance(node, nodes.reference):
        target = node.get("refuri") or f"#{node['refid']}"
        if "://" not in target:
            target = page + target if target.startswith("#") else normpath(join(dirname(page), target))
        return [[node.astext(), target]]
    if isinstance(node, nodes.Text):
        return [[node.astext(), None]]
    return [piece for child in node.children for piece in read_pieces(child, page)]


def read_says(app, name):
    """What the references of one document say."""
    document = app.env.get_doctree(name)
    holders = {}
    for xref in list(document.findall(addnodes.pending_xref)):
        text = xref.astext() if xref.get("refexplicit") else ""
        holder = holders.setdefault(tell_key(xref["reftype"], xref["reftarget"], text), nodes.inline())
        if not holder.children:
            xref.replace_self(holder)
            holder += xref
    app.env.resolve_references(document, name, app.builder)
    return {key: read_pieces(holder, app.builder.get_target_uri(name)) for key, holder in sorted(holders.items())}


def read_numbers(app, name):
    """What the figures, tables and equations of one document are called, by label."""
    known, formats = app.env.toc_fignumbers.get(name, {}), app.config.numfig_format | FORMATS
    return {
        label: formats[kind] % ".".join(map(str, known[kind][at]))
        for label, kind, at in sorted(find_labels(app.env, name))
        if at in known.get(kind, {})
    }


def find_labels(env, name):
    """Each label of a document with the kind of thing and the id that Sphinx numbers it by."""
    for label, (page, at) in env.domains["std"].anonlabels.items():
        if page == name:
            yield from ((label, kind, at) for kind in ("figure", "table"))
    for label, (page, _) in env.domains["math"].equations.items():
        if page == name:
            yield label, "displaymath", nodes.make_id(f"equation-{label}")


def write_references(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    found = {
        name: {
            "title": app.env.titles[name].astext(),
            "numbers": read_numbers(app, name),
            "says": read_says(app, name),
        }
        for name in sorted(app.env.found_docs)
        if name.startswith(FOLDER)
    }
    text = json.dumps(found, ensure_ascii=False, indent=1)
    Path(app.outdir).with_name("references.json").write_text(text + "\n", encoding="utf-8")


def setup(app):
    app.connect("build-finished", write_references)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
