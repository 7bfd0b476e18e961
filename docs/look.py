"""Open pages of the rendered site in Chromium: `python -m docs.look`, after `make docs`.

Some faults have to be seen: a page wider than a phone, a script that fails, a figure that is not drawn, a sidebar that
the keyboard cannot open, a name whose definition is not the first thing that search finds. Each page is opened once, in
a browser that reaches this machine alone.
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from docs.check import SITE
from docs.search import entry

PHONE = 390  # pixels
SEARCHED = ("schema.Schema", "bundle.write_bundle", "audit.log.AuditLog", "predict.predictor.Predictor")
#: Sidebar: what opens a section and cannot be reached by Tab.
UNREACHABLE = """() => [...document.querySelectorAll('#quarto-sidebar a[data-bs-toggle="collapse"]')]
    .filter(e => !e.hasAttribute('href') && !e.hasAttribute('tabindex')).map(e => e.textContent.trim() || 'arrow')"""
WIDTH = "() => document.documentElement.scrollWidth"
UNDRAWN = "() => [...document.querySelectorAll('.figure-plotly')].filter(e => !e.querySelector('svg')).map(e => e.id)"
NAMELESS = """() => [...document.querySelectorAll('.figure-plotly')]
    .filter(e => !e.getAttribute('aria-label')).map(e => e.id)"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    "Serve a folder on this machine alone; give its address."
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def look(site: Path, browser: Any, searched: tuple[str, ...] = ()) -> list[str]:
    "Return what is wrong with the pages of a site in a browser of Playwright's."
    faults = list[str]()
    with served(site) as address:
        page = browser.new_page(viewport={"width": PHONE, "height": 844})
        asked, errors = list[str](), list[str]()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        for path in sorted(p for p in site.rglob("*.html") if "site_libs" not in p.parts):
            where = path.relative_to(site).as_posix()
            asked.clear()
            errors.clear()
            page.goto(f"{address}/{where}")
            faults += [f"{where}: {fault}" for fault in of_page(page)]
            faults += [f"{where}: fetches {url}" for url in asked if not url.startswith((address, "data:", "blob:"))]
            faults += [f"{where}: a script fails: {error}" for error in errors]
        for name in searched:
            faults += of_search(page, address, name)
        page.close()
    return faults


def of_page(page: Any) -> Iterator[str]:
    "Yield what can be seen of one page."
    if (width := page.evaluate(WIDTH)) > PHONE:
        yield f"is {width} pixels wide on a phone of {PHONE}"
    yield from (f"the keyboard cannot reach {what} in the sidebar" for what in page.evaluate(UNREACHABLE))
    yield from (f"the figure {id} is not drawn" for id in page.evaluate(UNDRAWN))
    yield from (f"the figure {id} has no text in its place" for id in page.evaluate(NAMELESS))


def of_search(page: Any, address: str, full: str) -> Iterator[str]:
    "Yield a fault unless the first thing that search finds for a name is its definition."
    from docs.names import names

    wanted = entry(names()[full])["href"]
    page.goto(f"{address}/index.html?q={names()[full].short}&show-results=1")
    first = page.locator(".aa-Item a[href]").first
    first.wait_for()
    if wanted not in (found := str(first.get_attribute("href")).replace("?q=" + names()[full].short, "")):
        yield f"search: {full} leads first to {found}"


def main() -> int:
    from playwright.sync_api import sync_playwright

    from tests.tools import CHROMIUM_OPTIONS, find

    if not SITE.is_dir():
        print("There is no site in _docs/: run `make docs` first.", file=sys.stderr)
        return 2
    if (chromium := find("chromium")) is None:
        print("There is no Chromium here: `make test-tools` gets it.", file=sys.stderr)
        return 2
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        faults = look(SITE, browser, SEARCHED)
        browser.close()
    print(*faults, f"{len(faults)} faults in a browser." if faults else "No fault in a browser.", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
