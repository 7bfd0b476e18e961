"""Check the rendered site: `python -m docs.check` reads what `make docs` made and names every fault.

What Quarto is given is held by tests. Quarto adds scripts, ids and rankings of its own, and those are seen only in what
it made: here each page is read as HTML, without a browser. `docs/look.py` opens pages in one.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from docs.made import MADE
from docs.names import NBS, ROOT, Name, html_name, names, notebooks, pages_of_modules

SITE = ROOT / "_docs"
ELSEWHERE = re.compile(r"^(https?:)?//", re.I)
#: What a browser fetches by itself: tag, attribute. Of links only those of these kinds.
FETCHED = {("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("video", "src"), ("audio", "src")}
FETCHED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "preconnect", "dns-prefetch", "manifest"}
IN_STYLE = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", re.I)


@dataclass
class Page(HTMLParser):
    "What the check wants to know of one page."

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    without_alt: list[str] = field(default_factory=list)
    language: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self._inside = tag
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "html":
            self.language = given.get("lang", "")
        if tag in ("a", "area") and given.get("href"):
            self.links.append(given["href"])
        if tag == "img" and "alt" not in given:
            self.without_alt.append(given.get("src", ""))
        self.fetched += [given[key] for name, key in FETCHED if name == tag and given.get(key)]
        if tag == "link" and FETCHED_LINKS & set(given.get("rel", "").split()):
            self.fetched.append(given.get("href", ""))
        self.fetched += IN_STYLE.findall(given.get("style", ""))

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title += data
            self._inside = ""
        if self._inside == "style":
            self.fetched += IN_STYLE.findall(data)


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def check(site: Path, expected: list[str] | None = None, public: list[Name] | None = None) -> list[str]:
    "Return every fault of a site. What it should have is the project's own pages and names unless it is given."
    pages = {
        p.relative_to(site).as_posix(): read(p) for p in sorted(site.rglob("*.html")) if "site_libs" not in p.parts
    }
    built = [html_name(p.relative_to(NBS)) for p in notebooks()] + [name.replace(".qmd", ".html") for name in MADE]
    wanted = expected if expected is not None else built
    named = public if public is not None else [n for n in names().values() if n.module in pages_of_modules()]
    faults = [f"{page}: there is no such page" for page in wanted if page not in pages]
    for where, page in pages.items():
        faults += [f"{where}: {fault}" for fault in of_page(where, page, pages, site)]
    for style in sorted(site.rglob("*.css")):
        for address in IN_STYLE.findall(style.read_text(encoding="utf-8")):
            faults.append(f"{style.relative_to(site).as_posix()}: fetches {address}")
    return faults + [f"search.json: {fault}" for fault in of_search(site, pages, named)]


def of_page(where: str, page: Page, pages: dict[str, Page], site: Path) -> Iterator[str]:
    "Yield the faults of one page."
    if not page.language:
        yield "does not say its language (html lang)"
    if not page.title.strip():
        yield "has no title"
    yield from (f"fetches {address}" for address in page.fetched if ELSEWHERE.match(address))
    yield from (f"has the id {id} {n} times" for id, n in Counter(page.ids).items() if n > 1)
    yield from (f"the image {source} has no alt" for source in page.without_alt)
    for address in dict.fromkeys([*page.links, *page.fetched]):
        if fault := of_link(where, address, pages, site):
            yield fault


def of_link(where: str, address: str, pages: dict[str, Page], site: Path) -> str:
    "Return what is wrong with a link of the page `where`, or an empty string."
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or address == "#":
        return ""
    if parts.path.startswith("/") and where != "404.html":  # that page alone may be shown at any address
        return f"{address} leads out of the site where it lies in a folder: make it relative"
    start = "" if parts.path.startswith("/") else where.rpartition("/")[0]
    there = normpath(f"{start}/{unquote(parts.path)}").lstrip("/") if parts.path else where
    there = f"{there}/index.html".removeprefix("./") if (site / there).is_dir() else there
    if there not in pages:
        return (
            "" if (site / there).is_file() or where == "404.html" else f"{address} leads to a page that does not exist"
        )
    anchor = unquote(parts.fragment)
    if anchor and anchor not in pages[there].ids:
        return f"{address} leads to an anchor that does not exist"
    return ""


def of_search(site: Path, pages: dict[str, Page], public: list[Name]) -> Iterator[str]:
    "Yield the faults of the search index: names without an entry, and entries that lead nowhere."
    index = site / "search.json"
    if not index.is_file():
        yield "there is no index"
        return
    entries = json.loads(index.read_text(encoding="utf-8"))
    titles = {(one["title"], one["href"]) for one in entries}
    for name in public:
        if (name.short, f"{pages_of_modules()[name.module]}#{name.anchor}") not in titles:
            yield f"{name.full} has no entry of its own"
    for one in entries:
        if fault := of_link("", one["href"], pages, site):
            yield fault


def main() -> int:
    if not SITE.is_dir():
        print("There is no site in _docs/: run `make docs` first.", file=sys.stderr)
        return 2
    faults = check(SITE)
    print(*faults, f"{len(faults)} faults in {SITE.name}/." if faults else f"{SITE.name}/ has no fault.", sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
