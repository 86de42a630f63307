"""Show the Colab, edit and repository buttons, and the address itself, only where the book has one on GitHub.

The address is BOOK_REPOSITORY where that variable is set (empty means none), else `repository.url` of _config.yml.
Without one the build says so in one line; a link to a placeholder is never shown. What a page tells only where there is
an address stands in {only} with the tag `published`; there the directive `with-address` is a block of code, or a link,
in which ADDRESS and BRANCH stand for those of the repository.

The Colab button opens the chapter of the branch BOOK_COLAB_BRANCH where that variable is set: `make publish` does so.
"""

import os
import re

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from tools.set_repository import pages_of

GITHUB = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")
BUTTONS = ("use_repository_button", "use_edit_page_button", "use_issues_button")


def choose_buttons(app, config):
    options = dict(config.html_theme_options)
    address = os.environ.get("BOOK_REPOSITORY", options.get("repository_url") or "")
    address = address.strip().rstrip("/").removesuffix(".git")
    known = bool(GITHUB.fullmatch(address))
    if known:
        app.tags.add("published")
    else:
        why = f"{address} is not a GitHub address" if address else "the book has no repository address yet"
        # Printed, not logged: `make book` builds quietly, and a warning would fail the strict build.
        print(f"No Colab, edit or repository buttons: {why} (make set-repository URL=https://github.com/...).")
        options["launch_buttons"] = {}
    options["repository_url"] = address if known else ""
    config.html_baseurl = pages_of(address) if known else ""
    options.update(dict.fromkeys(BUTTONS, known))
    config.html_theme_options = options


def choose_branch(app, pagename, templatename, context, doctree):
    branch = os.environ.get("BOOK_COLAB_BRANCH")
    groups = [group["buttons"] for group in context.get("header_buttons", []) if group.get("label") == "launch-buttons"]
    for button in groups[0] if branch and groups else []:
        button["url"] = re.sub(r"/blob/.+(?=/notebooks/)", f"/blob/{branch}", button["url"])


class WithAddress(SphinxDirective):
    """A block of code, in the language of the argument, with the repository's address in it; or a link."""

    required_arguments = 1
    has_content = True

    def run(self):
        options = self.config.html_theme_options
        address = options["repository_url"] or "ADDRESS"
        text = "\n".join(self.content).replace("ADDRESS", address)
        text = text.replace("BRANCH", options.get("repository_branch") or "main")
        if self.arguments[0] == "link":
            name = text.rpartition("/")[2]
            return [nodes.paragraph("", "", nodes.reference("", name, refuri=text, internal=False))]
        return [nodes.literal_block(text, text, language=self.arguments[0])]


def setup(app):
    app.add_directive("with-address", WithAddress)
    app.connect("config-inited", choose_buttons)
    app.connect("html-page-context", choose_branch, priority=900)  # after the theme, which makes the buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
