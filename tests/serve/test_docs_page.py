"""The documentation as a person sees it."""

import os

import pytest

from iris_nb.schema import SCHEMA
from tests.browser import ARGUMENTS, find


@pytest.fixture
def page():
    from playwright.sync_api import sync_playwright

    path = find()
    if path is None:
        wanted = os.environ.get("IRIS_REQUIRE_BROWSER")
        (pytest.fail if wanted else pytest.skip)("There is no Chromium on this machine, and none could be had.")
    with sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield chromium.new_page()
        chromium.close()


@pytest.mark.browser
def test_the_documentation_can_be_tried_out_and_asks_no_other_machine(live, page):
    service = live()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{service.url}/docs")
    page.click("#operations-predictions-predict .opblock-summary")
    feature = SCHEMA.features[0]
    assert feature.name in page.inner_text(
        "#operations-predictions-predict .request-body, #operations-predictions-predict"
    )
    page.click("#operations-predictions-predict .try-out__btn")
    page.click("#operations-predictions-predict .execute")
    page.wait_for_selector("#operations-predictions-predict .live-responses-table")
    assert SCHEMA.classes[0] in page.inner_text("#operations-predictions-predict .live-responses-table")
    assert [url for url in asked if not url.startswith((service.url, "data:"))] == []
    assert said == []
