"""Fixtures that look at pages in a real browser."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

from tests.tools import CHROMIUM_OPTIONS, need

expect.set_options(timeout=60_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    "Chromium, for one module: while Playwright lives, no other test can run an event loop."
    from playwright.sync_api import sync_playwright

    path = need("chromium")
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()


@contextmanager
def watching(browser) -> Iterator[Callable]:
    "Gives what opens a page; at the end, sees that none asked another machine for anything, showed code or failed."
    pages, requests, errors = [], [], []

    def listen(message) -> None:
        # A page may outlive its server, at the end of a module, and tries to reach it again.
        gone = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET")
        if message.type == "error" and not any(words in message.text for words in gone):
            errors.append(message.text)

    def open_(url: str, width: int = 1280):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(60_000)
        page.on("request", lambda request: requests.append(request.url))
        page.on("websocket", lambda socket: requests.append(socket.url))
        page.on("console", listen)
        page.on("pageerror", lambda error: errors.append(str(error)))
        pages.append(page)
        page.goto(url)
        page.wait_for_selector("h1")
        return page

    yield open_
    for page in pages:
        text = page.inner_text("body")
        assert "Traceback" not in text
        assert "import " not in text
        page.close()
    local = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
    assert not [url for url in requests if not url.startswith(local)]
    assert not errors


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    "Opens a page for one test, which may do with it what it likes."
    with watching(browser) as open_:
        yield open_
