"""Tell search engines, messengers and language models what the site is: `llms.txt`, a sitemap, tags in heads.

A page is told by its title and the first sentence below it. What needs the whole address of a page, the sitemap and the
picture that a link is shown with, is there where the site has an address.
"""

import re
from html import escape
from pathlib import Path
from xml.sax.saxutils import escape as escape_xml

import book_card
from docutils import nodes
from sphinx import addnodes

SENTENCE = re.compile(r".+?[.?!](?=\s|$)")
CARD = "_static/card.png"


def read_sentence(document):
    """The first sentence below the title of a page, without what it cites; empty where no text follows."""
    (section,) = [child for child in document.children if isinstance(child, nodes.section)][:1] or [None]
    for child in section.children if section else ():
        if isinstance(child, nodes.paragraph):
            text = " ".join(child.astext().split())
            return found[0] if (found := SENTENCE.match(text)) else text
    return ""


def keep_sentence(app, document):
    app.env.metadata[app.env.docname]["sentence"] = read_sentence(document)


def describe_page(app, pagename, templatename, context, doctree):
    if doctree is None:
        return
    base, sentence = app.config.html_baseurl, app.env.metadata[pagename].get("sentence", "")
    tags = {"og:type": "article", "og:site_name": app.config.project or context["docstitle"]}
    tags |= {"og:title": app.env.titles[pagename].astext(), "og:description": sentence}
    if base:
        tags |= {"og:url": base + app.builder.get_target_uri(pagename), "og:image": base + CARD}
        tags |= {"og:image:alt": book_card.ALT, "twitter:card": "summary_large_image"}
    told = [f'<meta name="description" content="{escape(sentence)}">'] if sentence else []
    told += [f'<meta property="{name}" content="{escape(value)}">' for name, value in tags.items() if value]
    context["metatags"] = "\n".join([context.get("metatags", ""), *told])


def list_pages(env):
    """The pages in the order of the table of contents, under the captions of its parts: [(caption, [page])]."""
    root = env.config.root_doc
    parts = [("", [root])]
    for toctree in env.get_doctree(root).findall(addnodes.toctree):
        parts.append((toctree.get("caption") or "", [name for _, name in toctree["entries"] if name in env.found_docs]))
    return parts


def write_llms(app, parts):
    """The pages with a sentence each, in the form of llmstxt.org; addresses from the root where the site has none."""
    env, uri = app.env, app.builder.get_target_uri
    root = env.config.root_doc
    lines = [f"# {env.titles[root].astext()}", "", f"> {env.metadata[root].get('sentence', '')}"]
    for caption, names in parts:
        lines += ["", f"## {caption}", ""] if caption else [""]
        for name in names:
            link = f"[{env.titles[name].astext()}]({app.config.html_baseurl}{uri(name)})"
            lines.append(f"- {link}: {env.metadata[name].get('sentence', '')}".removesuffix(": "))
    Path(app.outdir, "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_sitemap(app, parts):
    """The addresses of all pages, in the form of sitemaps.org."""
    addresses = [app.config.html_baseurl + app.builder.get_target_uri(name) for _, names in parts for name in names]
    entries = [f"<url><loc>{escape_xml(address)}</loc></url>" for address in addresses]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">']
    Path(app.outdir, "sitemap.xml").write_text("\n".join([*lines, *entries, "</urlset>"]) + "\n", encoding="utf-8")


def write_files(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    parts = list_pages(app.env)
    write_llms(app, parts)
    if app.config.html_baseurl:
        write_sitemap(app, parts)
        pictures = Path(app.srcdir, "results", "full", "gan_mnist")
        title = app.env.titles[app.env.config.root_doc].astext()
        book_card.draw_card(title, pictures).save(Path(app.outdir, CARD), optimize=True)


def setup(app):
    app.connect("doctree-read", keep_sentence, priority=100)  # before other extensions put lines under the title
    app.connect("html-page-context", describe_page)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
