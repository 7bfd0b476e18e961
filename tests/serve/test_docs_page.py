"""The documentation as a person sees it."""

import pytest

from iris_nb.table import SCHEMA


@pytest.fixture
def page(browser):
    page = browser.new_page()
    yield page
    page.close()


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
