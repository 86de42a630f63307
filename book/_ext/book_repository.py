"""Show the Colab, edit and repository buttons only where the book has an address on GitHub.

The address is BOOK_REPOSITORY where that variable is set (empty means none), else `repository.url` of _config.yml.
Without one the build says so in one line; a link to a placeholder is never shown.
"""

import os
import re

GITHUB = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")
BUTTONS = ("use_repository_button", "use_edit_page_button", "use_issues_button")


def choose_buttons(app, config):
    options = dict(config.html_theme_options)
    address = os.environ.get("BOOK_REPOSITORY", options.get("repository_url") or "")
    address = address.strip().rstrip("/").removesuffix(".git")
    known = bool(GITHUB.fullmatch(address))
    if not known:
        why = f"{address} is not a GitHub address" if address else "the book has no repository address yet"
        # Printed, not logged: `make book` builds quietly, and a warning would fail the strict build.
        print(f"No Colab, edit or repository buttons: {why} (make set-repository URL=https://github.com/...).")
        options["launch_buttons"] = {}
    options["repository_url"] = address if known else ""
    options.update(dict.fromkeys(BUTTONS, known))
    config.html_theme_options = options


def setup(app):
    app.connect("config-inited", choose_buttons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
