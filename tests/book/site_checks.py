"""What a built site must keep to: each check reads a folder of HTML and returns its complaints, if any."""

import ast
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

COLAB = "https://colab.research.google.com/"
GENERATED = {"genindex", "search", "index"}  # pages that Sphinx and Jupyter Book add to those of the book
REQUESTING = {  # the attributes that make a browser fetch something by itself
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "video": ("src", "poster"),
}
LINKED_ONLY = {"canonical", "author", "license", "next", "prev", "index", "search"}  # link elements that fetch nothing
ELSEWHERE = re.compile(r"(?:https?:|wss?:)?//", re.IGNORECASE)
CSS_TARGET = re.compile(r"(?:@import\s+(?:url\(\s*)?|url\(\s*)['\"]?([^'\")\s;]+)", re.IGNORECASE)
JS_LOADER = re.compile(
    r"https?://[\w.-]*(?:cdn|unpkg|jsdelivr|googleapis|gstatic|cdnjs|cloudflare)[^\"'`\s)]*", re.IGNORECASE
)
# MathJax names these for its spoken formulas, which only its menu can turn on; the book has that menu off.
MATHJAX_SPEECH = re.compile(
    r"https://cdn\.jsdelivr\.net/npm/(?:speech-rule-engine@|sre-mathmaps-ie@|wicked-good-xpath@1\.3\.0/dist/wgxpath\.install\.js)"
)


class Page(HTMLParser):
    """The elements of one page, as (tag, attributes), with its ids and the text of its styles and scripts."""

    def __init__(self, path):
        super().__init__()
        self.path, self.elements, self.ids, self.styles, self.scripts = path, [], set(), [], []
        self._inside = None
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        self.ids.update(attributes[name] for name in ("id", "name") if name in attributes)
        if "style" in attributes:
            self.styles.append(attributes["style"])
        self._inside = tag if tag in ("style", "script") else None

    def handle_endtag(self, tag):
        self._inside = None

    def handle_data(self, data):
        if self._inside:
            (self.styles if self._inside == "style" else self.scripts).append(data)

    def find(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def read_pages(site):
    """Return every page of the site, by its path without suffix; fragments of the theme's own are left out."""
    site = Path(site)
    paths = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.relative_to(site).parts]
    return {path.relative_to(site).with_suffix("").as_posix(): Page(path) for path in paths}


def find_foreign_requests(site):
    """A page, stylesheet or script that asks another host for something."""
    complaints = []
    for name, page in read_pages(site).items():
        for tag, attributes in page.elements:
            if tag == "link" and LINKED_ONLY & set(attributes.get("rel", "").split()):
                continue
            for attribute in REQUESTING.get(tag, ()):
                for target in attributes.get(attribute, "").split(","):
                    if ELSEWHERE.match(target.strip()):
                        complaints.append(f"{name}: <{tag} {attribute}={target.strip()}>")
        complaints += [f"{name}: style asks for {target}" for target in _find_foreign_css("\n".join(page.styles))]
        complaints += [f"{name}: script names {target}" for target in _find_foreign_js("\n".join(page.scripts))]
    for path in sorted(Path(site).rglob("*.css")):
        complaints += [f"{path.name}: asks for {target}" for target in _find_foreign_css(_read(path))]
    for path in sorted(Path(site).rglob("*.js")):
        complaints += [f"{path.name}: names {target}" for target in _find_foreign_js(_read(path), path)]
    return complaints


def _find_foreign_css(text):
    return [target for target in CSS_TARGET.findall(text) if ELSEWHERE.match(target)]


def _find_foreign_js(text, path=Path("inline")):
    if path.parts[-2:] == ("mathjax", "tex-chtml.js"):
        text = MATHJAX_SPEECH.sub("", text)
    return JS_LOADER.findall(text)


def _read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def find_toc_mismatches(site, documents):
    """A document of the table of contents without a page, or a page outside it."""
    built = set(read_pages(site)) - GENERATED
    complaints = [f"{name}: in the table of contents, not built" for name in documents if name not in built]
    return complaints + [f"{name}: built, not in the table of contents" for name in sorted(built - set(documents))]


def find_broken_links(site):
    """A link inside the site to a file or an anchor that does not exist."""
    site, pages, complaints = Path(site), read_pages(site), []
    by_path = {page.path.resolve(): page for page in pages.values()}
    for name, page in pages.items():
        targets = [(tag, attributes.get("href") or attributes.get("src")) for tag, attributes in page.elements]
        for tag, target in targets:
            if not target or urlsplit(target).scheme or ELSEWHERE.match(target):
                continue
            parts = urlsplit(target)
            path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path.resolve()
            if not path.is_file():
                complaints.append(f"{name}: <{tag}> leads to {target}, which does not exist")
            elif parts.fragment and path in by_path and unquote(parts.fragment) not in by_path[path].ids:
                complaints.append(f"{name}: {target} has no such anchor")
    return complaints


def find_silent_images(site):
    """An image without a text that says what it shows; the logo, beside the title, may be silent."""
    complaints = []
    for name, page in read_pages(site).items():
        for image in page.find("img"):
            alt, source = image.get("alt"), image.get("src", "")
            decoration = "logo__image" in image.get("class", "") or "headerbtn" in image.get("class", "")
            if alt is None or (not alt.strip() and not decoration):
                complaints.append(f"{name}: {source} has no alt text")
            elif alt.strip() and (alt == source or re.fullmatch(r"\S+\.(png|svg|jpe?g)", alt)):
                complaints.append(f"{name}: the alt text of {source} is a file name")
    return complaints


def find_icon_gaps(site):
    """An icon that the style sheet of icons, which the build cuts, does not know, or a font of it that is missing."""
    (path,) = Path(site).glob("_static/vendor/fontawesome/*/css/all.min.css")
    css, complaints = _read(path), []
    for name, page in read_pages(site).items():
        classes = {one for _, attributes in page.elements for one in attributes.get("class", "").split()}
        icons = sorted(one for one in classes if one.startswith("fa-"))
        complaints += [f"{name}: no rule for {icon}" for icon in icons if not re.search(rf"\.{icon}(?![\w-])", css)]
    fonts = [target for target in CSS_TARGET.findall(css) if not (path.parent / target).is_file()]
    return complaints + [f"{path.name}: no font {font}" for font in fonts]


def find_mathjax_gaps(site):
    """A page with formulas that does not load MathJax from the site, or a part of MathJax that is missing."""
    site, complaints = Path(site), []
    for name, page in read_pages(site).items():
        has_formula = any("math" in attributes.get("class", "").split() for _, attributes in page.elements)
        scripts = [urlsplit(script["src"]).path for script in page.find("script") if "src" in script]
        if has_formula and not any(script.endswith("_static/mathjax/tex-chtml.js") for script in scripts):
            complaints.append(f"{name}: formulas, but no MathJax from the site itself")
    folder = site / "_static" / "mathjax"
    least_of = {"tex-chtml.js": 1, "output/chtml/fonts/woff-v2/*.woff": 20, "input/tex/extensions/*.js": 20}
    for part, least in least_of.items():
        if len(list(folder.glob(part))) < least:
            complaints.append(f"_static/mathjax/{part}: fewer than {least} files")
    return complaints


def find_colab_links(site):
    """Return the addresses in Colab that the site's pages link to, by page."""
    links = {}
    for name, page in read_pages(site).items():
        found = sorted({link["href"] for link in page.find("a") if link.get("href", "").startswith(COLAB)})
        if found:
            links[name] = found
    return links


def find_search_gaps(site, documents):
    """A document that the search index does not know."""
    path = Path(site) / "searchindex.js"
    if not path.is_file():
        return ["searchindex.js: missing"]
    known = json.loads(_read(path).removeprefix("Search.setIndex(").removesuffix(")"))["docnames"]
    return [f"{name}: not in the search index" for name in documents if name not in known]


def find_heavy_pages(site, page_limit=2_000_000, shared_limit=2_500_000):
    """A page whose HTML and pictures, or whose scripts, styles and fonts, weigh more than the limits, in bytes."""
    complaints = []
    for name, page in read_pages(site).items():
        own, shared = {page.path}, set()
        for tag, attributes in page.elements:
            target = urlsplit(attributes.get("src") or (attributes.get("href", "") if tag == "link" else ""))
            if (
                tag not in REQUESTING or not target.path or target.netloc or target.scheme
            ):  # data: is of the page itself
                continue
            path = page.path.parent / unquote(target.path)
            if path.is_file() and path.suffix != ".html":
                (own if "_images" in path.parts else shared).add(path.resolve())
        for what, paths, limit in (("itself", own, page_limit), ("with its shared files", shared, shared_limit)):
            weight = sum(path.stat().st_size for path in paths)
            if weight > limit:
                complaints.append(f"{name}: {what} weighs {weight:,} bytes, more than {limit:,}")
    return complaints


def find_untranslatable(text):
    """A construction that a translation by gettext would lose, in the text of one MyST page or markdown cell."""
    text = re.sub(r"(?ms)^(`{3,})(?!\{).*?^\1\s*$", "", text)  # code blocks are shown, not translated
    text = re.sub(r"`[^`\n]*`", lambda code: "" if "glue" not in code[0] else code[0], text)
    rules = {
        "a footnote": r"\[\^[^\]]+\]",
        "glued text": r"\{glue",
        "a {table} directive": r"(?m)^[`:]{3,}\{table\}",
        "a pipe table": r"(?m)^\|.*\|\s*$",
        "raw HTML with text": r"<(?:p|span|div|td|th|li|b|i|em|strong|a)\b[^>]*>\s*[^<\s]",
    }
    return [what for what, rule in rules.items() if re.search(rule, text)]


def find_dead_paths(text, root):
    """A link in a Markdown text to a file of the repository that does not exist."""
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not urlsplit(target).scheme]
    return [f"{target} does not exist" for target in targets if not (Path(root) / urlsplit(target).path).exists()]


def find_unknown_commands(text, makefile):
    """A command `make x`, in code, of which the Makefile has no target."""
    targets = set(re.findall(r"(?m)^([\w-]+):", makefile))
    named = re.findall(r"(?m)(?:^(?:\w+=\S+ )*|`)make ([a-z][\w-]*)", text)
    return [f"make {name} does not exist" for name in dict.fromkeys(named) if name not in targets]


def find_unknown_names(text, helpers):
    """A name such as `losses.x`, in code, that the module of the helpers does not define."""
    complaints = []
    modules = {path.stem: ast.parse(_read(path)) for path in Path(helpers).glob("*.py")}
    for module, name in dict.fromkeys(re.findall(r"`([a-z]+)\.(\w+)`", text)):
        defined = {node.name for node in getattr(modules.get(module), "body", []) if hasattr(node, "name")}
        if module in modules and name not in defined:
            complaints.append(f"{module}.{name} does not exist")
    return complaints
