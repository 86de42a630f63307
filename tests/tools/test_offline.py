"""Nothing is fetched: chapters, helpers and site need no network once the packages are there, and ask nothing of it."""

import re
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests import offline
from tests.soaking import Soak
from tools.notebook_files import ROOT, chapters

isolated = pytest.mark.skipif(
    not offline.can_isolate(), reason="no network namespaces here: unshare is missing or refused"
)


@isolated
@pytest.mark.parametrize(
    ("code", "asked"),
    [
        ("urllib.request.urlopen('http://192.0.2.1/x')", "socket.getaddrinfo 192.0.2.1"),
        ("socket.create_connection(('example.org', 443))", "socket.getaddrinfo example.org"),
        ("socket.socket().connect(('192.0.2.1', 80))", "socket.connect 192.0.2.1"),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))", "socket.sendto 192.0.2.1"),
        ("socket.gethostbyname('example.org')", "socket.gethostbyname example.org"),
    ],
)
def test_a_request_that_hides_its_failure_is_seen(code: str, asked: str, tmp_path: Path) -> None:
    hidden = f"import socket, urllib.request\ntry:\n    {code}\nexcept OSError as error:\n    print(error)"
    ended = offline.run([sys.executable, "-c", hidden], log := tmp_path / "log")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search("unreachable|resolution|not known", ended.stdout)  # and it did not get out
    assert log.read_text("utf-8").startswith(asked)


@isolated
def test_a_service_of_ones_own_is_no_request(tmp_path: Path) -> None:
    code = "import socket\none = socket.create_server(('127.0.0.1', 0))\nsocket.create_connection(one.getsockname())"
    ended = offline.run([sys.executable, "-c", code], log := tmp_path / "log")
    assert (ended.returncode, ended.stderr, log.read_text("utf-8")) == (0, "", "")


def build_site(folder: Path, log: Path) -> CompletedProcess:
    """The site, built where there is no network."""
    code = "from jupyter_book.cli.main import main; main()"  # as a module it would only be imported
    flags = ["--quiet", "--all", "--nitpick", "--warningiserror"]
    command = [sys.executable, "-c", code, "build", str(ROOT), "--path-output", str(folder), *flags]
    return offline.run(command, log, cwd=ROOT)


@isolated
@pytest.mark.soak
def test_nothing_is_fetched(soak: Soak, tmp_path: Path) -> None:
    """Chapters as nbval runs them, the tests of the helpers, and the site; in the short form a chapter's beginning."""
    ran = chapters() if soak.long else [f"{chapters(['vae_math'])[0]}::Cell {number}" for number in range(4)]
    tested = ROOT / "tests/helpers" / ("" if soak.long else "test_losses.py")
    log = tmp_path / "log"
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *map(str, (*ran, tested))]
    ended = offline.run(command, log, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    passed = int(re.search(r"(\d+) passed", ended.stdout)[1])
    if soak.long:
        ended = build_site(tmp_path, log)
        assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    pages = len(list((tmp_path / "_build/html").rglob("*.html")))
    assert not soak.long or pages > len(ran)  # a build that builds nothing ends well, too
    asked = log.read_text("utf-8").splitlines()
    assert asked == []
    counted = {"chapters_run": len(ran), "cells_and_tests_passed": passed, "pages_built": pages}
    soak.tell("nothing is fetched", **counted, requests_to_the_network=len(asked))
