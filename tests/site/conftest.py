"""The built site in headless Chromium: each page is visited once, and the tests look at what was recorded.

`make site-test` runs these tests, in the environment of the site. Elsewhere they are skipped.
"""

import functools
import http.server
import json
import os
import shutil
import threading
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

HTML = Path(__file__).resolve().parents[2] / "docs" / "_build" / "html"
FUNCTIONS = (Path(__file__).parent / "page_facts.js").read_text(encoding="utf-8")
WIDTHS = (1440, 800, 390)  # pixels
OPTIONS = """
    --headless=new --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run --disable-sync
    --disable-background-networking --disable-component-update
""".split()


def _skip(reason):
    """Skip the tests; in CI, which sets SEQCLF_REQUIRE_BROWSER, fail."""
    if os.environ.get("SEQCLF_REQUIRE_BROWSER", "0") not in ("", "0"):
        pytest.fail(f"SEQCLF_REQUIRE_BROWSER is set, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def site():
    """The folder of the built site."""
    if not (HTML / "index.html").is_file():
        _skip("the site is not built: run `make site`")
    return HTML


@pytest.fixture(scope="session")
def pages(site):
    """The paths of all pages; the theme has an HTML file that is not a page."""
    paths = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    return [path for path in paths if not path.startswith("_static/")]


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="session")
def serve():
    """A function that serves a folder on a free port of this machine, and returns the address."""
    servers = []

    def start(folder):
        handler = functools.partial(_QuietHandler, directory=folder)
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def site_address(site, serve):
    return serve(site)


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium without a profile, which can reach this machine alone."""
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        _skip("there is no Chromium: on Debian, `apt-get install chromium chromium-driver`")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    unreachable = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    for option in (*OPTIONS, f"--user-data-dir={profile}", unreachable):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    started.set_script_timeout(30)
    started.get("about:blank")
    started.get_log("performance")  # the requests of the first, empty tab
    yield started
    started.quit()


def call(browser, expression):
    """The value of a JavaScript expression, which can use the functions of page_facts.js."""
    script = f"""
        const done = arguments[arguments.length - 1];
        {FUNCTIONS}
        const value = (async () => {expression})();
        value.then((value) => done({{ value }}), (error) => done({{ error: error.stack }}));
    """
    answer = browser.execute_async_script(script)
    assert "error" not in answer, answer["error"]
    return answer["value"]


def _set_window(browser, width, theme):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [
        {"name": "prefers-color-scheme", "value": theme},
        {"name": "prefers-reduced-motion", "value": "reduce"},  # colours change at once
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@dataclass
class Visit:
    """What one page showed.

    `light` and `dark` are results of pageFacts in page_facts.js, and `too_wide` those of tooWide by width.
    """

    path: str
    title: str = ""
    light: dict = field(default_factory=dict)
    dark: dict = field(default_factory=dict)
    too_wide: dict = field(default_factory=dict)
    console: list = field(default_factory=list)
    requests: list = field(default_factory=list)

    @property
    def themes(self):
        return {"light": self.light, "dark": self.dark}

    @property
    def buttons(self):
        return self.light["buttons"]


def _requests(browser):
    """The addresses that the page has requested since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [each["request"]["url"] for each in sent]


@pytest.fixture(scope="session")
def visit(browser):
    """A function that opens a page in all themes and widths, and returns a Visit."""

    def open_page(address, path):
        browser.get_log("browser")
        _requests(browser)
        _set_window(browser, WIDTHS[0], "light")
        browser.get(address + path)
        seen = Visit(path, title=browser.title, light=call(browser, "pageFacts('light')"))
        for width in WIDTHS:
            _set_window(browser, width, "dark")
            seen.too_wide[width] = call(browser, "tooWide()")
            if width == WIDTHS[0]:
                seen.dark = call(browser, "pageFacts('dark')")
        seen.console, seen.requests = browser.get_log("browser"), _requests(browser)
        return seen

    return open_page


@pytest.fixture(scope="session")
def visits(visit, site_address, pages):
    """A visit to each page."""
    return [visit(site_address, path) for path in pages]


@pytest.fixture(scope="session")
def visit_html(visit, serve, tmp_path_factory):
    """A function that visits a page with this HTML."""
    folder = tmp_path_factory.mktemp("pages")
    address = serve(folder)
    (folder / "favicon.ico").touch()
    names = (f"{number}.html" for number in count())  # another name each time, because the browser caches pages

    def write_and_visit(html):
        page = folder / next(names)
        page.write_text(f"<!DOCTYPE html><meta charset='utf-8'>{html}", encoding="utf-8")
        return visit(address, page.name)

    return write_and_visit
