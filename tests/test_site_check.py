"""The check of the rendered site finds each fault that is planted in a small site, and none in a whole one."""

import json

import pytest

from docs.check import check
from docs.look import look
from docs.names import names, pages_of_modules
from docs.search import add_names
from tests.browsing import browser  # noqa: F401

NAME = names()["schema.Schema"]
HOME = """<!doctype html><html lang="en"><head><title>Home</title>
<link rel="stylesheet" href="site.css"><link rel="canonical" href="https://example.org/"></head>
<body><nav id="quarto-sidebar"><button data-bs-toggle="collapse" data-bs-target="#list">Guides</button></nav>
<main id="top"><h1>Home</h1><img src="a.png" alt="A page"><a href="api/schema.html#schema">Schema</a>
<a href="https://example.org/">elsewhere</a><a href="#top">top</a></main></body></html>"""
LESSON = """<!doctype html><html lang="en"><head><title>Schema</title></head>
<body><h1>Schema</h1><h3 id="schema">Schema</h3><a href="../index.html">home</a></body></html>"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "api").mkdir()
    (tmp_path / "index.html").write_text(HOME)
    (tmp_path / "api/schema.html").write_text(LESSON)
    (tmp_path / "site.css").write_text("main { color: black; background: url(a.png) }")
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "search.json").write_text(json.dumps([{"objectID": "x", "href": "index.html", "title": "Home"}]))
    add_names(tmp_path)
    entries = json.loads((tmp_path / "search.json").read_text())
    mine = [one for one in entries if one["href"] in ("index.html", f"api/schema.html#{NAME.anchor}")]
    (tmp_path / "search.json").write_text(json.dumps(mine))
    return tmp_path


def plant(site, old, new, page="index.html"):
    text = (site / page).read_text()
    assert old in text
    (site / page).write_text(text.replace(old, new))


def faults(site):
    return check(site, ["index.html", "api/schema.html"], [NAME])


def test_a_whole_site_has_no_fault(site):
    assert not faults(site)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "</head>",
            '<script src="https://cdn.example.org/x.js"></script></head>',
            "fetches https://cdn.example.org/x.js",
        ),
        ("</head>", '<script src="//cdn.example.org/x.js"></script></head>', "fetches //cdn.example.org/x.js"),
        ('href="site.css"', 'href="https://example.org/site.css"', "fetches https://example.org/site.css"),
        ('src="a.png"', 'src="https://example.org/a.png"', "fetches https://example.org/a.png"),
        ("</head>", "<style>@import 'https://example.org/f.css';</style></head>", "fetches https://example.org/f.css"),
        ("<h1>", '<h1 id="top">', "has the id top 2 times"),
        (' alt="A page"', "", "the image a.png has no alt"),
        ("#schema", "#features", "leads to an anchor that does not exist"),
        ("api/schema.html", "api/scheme.html", "leads to a page that does not exist"),
        ('href="#top"', 'href="#bottom"', "leads to an anchor that does not exist"),
        ('href="#top"', 'href="/index.html"', "leads out of the site"),
        ("site.css", "missing.css", "leads to a page that does not exist"),
        (' lang="en"', "", "does not say its language"),
        ("<title>Home</title>", "", "has no title"),
    ],
)
def test_a_fault_that_is_planted_is_found(site, old, new, fault):
    plant(site, old, new)
    assert [found for found in faults(site) if fault in found and found.startswith("index.html: ")]


def test_a_style_sheet_that_fetches_a_font_is_found(site):
    (site / "site.css").write_text("@font-face { src: url('https://example.org/font.woff2') }")
    assert faults(site) == ["site.css: fetches https://example.org/font.woff2"]


def test_a_page_that_was_not_built_is_found(site):
    assert check(site, ["index.html", "start.html"], [NAME]) == ["start.html: there is no such page"]


def test_a_name_that_search_does_not_know_is_found(site):
    (site / "search.json").write_text("[]")
    assert faults(site) == ["search.json: schema.Schema has no entry of its own"]


def test_a_search_result_that_leads_nowhere_is_found(site):
    plant(site, 'id="schema"', 'id="other"', "api/schema.html")
    assert [fault for fault in faults(site) if fault.startswith("search.json: ")]


def test_every_name_gets_one_entry_however_often_they_are_added(site):
    (site / "search.json").write_text("[]")
    assert add_names(site) == add_names(site)
    entries = json.loads((site / "search.json").read_text())
    public = [name for name in names().values() if name.module in pages_of_modules()]
    assert sorted(one["title"] for one in entries) == sorted(name.short for name in public)


@pytest.mark.browser
def test_what_only_a_browser_shows_is_found(site, browser):  # noqa: F811
    assert look(site, browser) == []
    plant(site, "<h1>Home</h1>", '<h1 style="width: 700px">Home</h1><script>missing()</script>')
    plant(site, "<button data-bs", "<a data-bs")
    plant(site, "</main>", '<div id="figure-1" class="figure-plotly"></div></main>')
    found = "\n".join(look(site, browser))
    for fault in (
        "pixels wide on a phone",
        "a script fails",
        "cannot reach Guides",
        "figure-1 is not drawn",
        "no text",
    ):
        assert fault in found


@pytest.mark.browser
def test_the_script_of_the_site_makes_a_section_reachable_by_the_keyboard(site, browser):  # noqa: F811
    from docs.names import NBS

    plant(site, "<button data-bs", "<a data-bs")
    plant(site, "Guides</button>", "Guides</a>")
    plant(site, "</body>", (NBS / "site/_keyboard.html").read_text() + "</body>")
    assert look(site, browser) == []
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    toggle = page.locator("#quarto-sidebar a")
    toggle.evaluate("e => e.addEventListener('click', () => e.dataset.opened = 'yes')")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert toggle.get_attribute("data-opened") == "yes"
    assert toggle.get_attribute("role") == "button"
