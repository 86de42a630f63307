"""Drive Chromium over its own debugging protocol, to see what a page of the site really requests and shows.

`python tests/site_browser.py _build/html FOLDER` takes a picture of every page: light and dark, wide and narrow.
`python tests/site_browser.py _build/html book/_pictures/site.png` takes the one in the README.
"""

import base64
import contextlib
import functools
import http.server
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import websocket

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # no other host can be reached
)
KEYS = {
    "ArrowLeft": {"code": "ArrowLeft", "windowsVirtualKeyCode": 37},
    "Home": {"code": "Home", "windowsVirtualKeyCode": 36},
    " ": {"code": "Space", "windowsVirtualKeyCode": 32, "text": " "},
}
SETTLED = """
new Promise(done => document.readyState === "complete" ? done() : addEventListener("load", done))
  .then(() => window.MathJax && MathJax.startup ? MathJax.startup.promise : null)
  .then(() => new Promise(done => setTimeout(done, 100)))
"""
SHOWN = """({
  width: document.documentElement.scrollWidth,
  formulas: document.querySelectorAll("mjx-container").length,
  unset: document.querySelectorAll(".math").length,
  theme: document.documentElement.dataset.theme,
  fonts: [...document.fonts].filter(font => font.family.includes("MJX") && font.status === "loaded").length,
  results: document.querySelectorAll("#search-results li").length,
})"""


def find_chromium():
    """Return the path of a Chromium-like browser, or None."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(folder):
    """Serve a folder on this machine, yielding its address."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class Browser:
    """One tab of a headless Chromium. Its profile lies in `folder`; `close` ends it."""

    def __init__(self, path, folder):
        self._process = subprocess.Popen(
            [path, *OPTIONS, f"--user-data-dir={folder}", "about:blank"], stderr=subprocess.PIPE, text=True
        )
        for line in self._process.stderr:
            if found := re.search(r"ws://([^/]+)/", line):
                break
        else:
            raise RuntimeError("Chromium did not start")
        self._reader = threading.Thread(target=self._process.stderr.read, daemon=True)  # keeps the pipe from filling
        self._reader.start()
        with urllib.request.urlopen(f"http://{found[1]}/json") as answer:
            tab = next(tab for tab in json.load(answer) if tab["type"] == "page")
        self._socket = websocket.create_connection(tab["webSocketDebuggerUrl"], suppress_origin=True, timeout=120)
        self._count, self._events = 0, []
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._call(f"{domain}.enable")
        self._call("Emulation.setScrollbarsHidden", hidden=True)  # as on a phone, at every width

    def close(self):
        """End the browser."""
        self._socket.close()
        self._process.terminate()
        self._process.wait(timeout=10)
        self._reader.join(timeout=10)  # the pipe ends with the last process of the browser
        self._process.stderr.close()

    def _call(self, method, **parameters):
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._count:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self._events.append(message)

    def evaluate(self, expression):
        """Return the value of a JavaScript expression in the page, waiting for it where it is a promise."""
        answer = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        return answer["result"].get("value")

    def visit(self, address, width=1280, theme="light", ready="true"):
        """Open a page and return (complaints, what it shows), once `ready` holds, or after ten seconds."""
        self._show_as(width, theme)
        self._events.clear()
        failure = self._call("Page.navigate", url=address).get("errorText")
        self.evaluate(SETTLED)
        self._wait_for(ready)
        complaints, shown = self.look(address, width, theme)
        return [f"does not open: {failure}"] * bool(failure) + complaints, shown

    def look(self, address, width, theme):
        """Return (complaints, what it shows) of the page that is open, at another width and in another theme."""
        self._show_as(width, theme)
        self._wait_for(f"[undefined, '{theme}'].includes(document.documentElement.dataset.theme)")
        shown, complaints = self.evaluate(SHOWN), []
        if shown["width"] > width:
            complaints.append(f"scrolls sideways: {shown['width']} px wide in a window of {width}")
        if shown["unset"] and not shown["formulas"]:
            complaints.append("formulas are not set")
        home = address.split("/")[0] + "//" + address.split("/")[2]
        return complaints + self._read_events(home), shown

    def _wait_for(self, ready):
        deadline = time.monotonic() + 10
        while not self.evaluate(ready) and time.monotonic() < deadline:
            time.sleep(0.1)

    def _show_as(self, width, theme):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def press(self, key):
        """Press and release a key, one of KEYS, on what has the focus."""
        about = {"key": key, **KEYS[key]}
        self._call("Input.dispatchKeyEvent", type="keyDown", **about)
        self._call("Input.dispatchKeyEvent", type="keyUp", **about)

    def reduce_motion(self):
        """Ask the page that is open for less motion, as a reader's system can; until the next visit."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])

    def take_picture(self, path, width=1280, height=None):
        """Write a PNG of the page that is open, in full unless a height is given."""
        height = height or self.evaluate("document.documentElement.scrollHeight")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", **metrics)
        self.evaluate("new Promise(done => setTimeout(done, 1000))")  # the sidebar slides, an anchor scrolls
        Path(path).write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _read_events(self, home):
        complaints = []
        for event in self._events:
            parameters = event.get("params", {})
            match event.get("method"):
                case "Network.requestWillBeSent":
                    address, page = parameters["request"]["url"], parameters.get("documentURL", home)
                    # What the page before asks for late is none of this page's business.
                    if page.startswith(home) and not address.startswith((home, "data:", "blob:")):
                        complaints.append(f"requests {address}")
                case "Runtime.exceptionThrown":
                    details = parameters["exceptionDetails"]
                    complaints.append(f"throws {details.get('exception', {}).get('description', details['text'])}")
                case "Runtime.consoleAPICalled" if parameters["type"] == "error":
                    complaints.append(f"console error: {parameters['args']}")
                case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                    complaints.append(f"error: {parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        return complaints


def take_pictures(site, folder):
    """Write a picture of every page of a site into a folder, in each theme and at each width."""
    site, folder = Path(site), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, serve(site) as address:
        browser = Browser(find_chromium(), profile)
        for path in sorted([*site.glob("book/*.html"), *site.glob("notebooks/*.html")]):
            for width in (1280, 375):
                for theme in ("light", "dark"):
                    complaints, _ = browser.visit(f"{address}{path.relative_to(site).as_posix()}", width, theme)
                    browser.take_picture(folder / f"{path.stem}-{width}-{theme}.png", width)
                    print(path.stem, width, theme, *complaints)
        browser.close()


def take_readme_picture(site, path, page="book/intro.html"):
    """Write the picture of one page, as a reader's window shows it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, serve(site) as address:
        browser = Browser(find_chromium(), profile)
        browser.visit(address + page)
        browser.take_picture(path, height=900)
        browser.close()


if __name__ == "__main__":
    (take_readme_picture if sys.argv[2].endswith(".png") else take_pictures)(*sys.argv[1:])
