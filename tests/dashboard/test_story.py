"""What somebody in charge sees when the world changes: a walk through the page, in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from iris_nb.table import SCHEMA
from tests.serve.live import Live

pytestmark = pytest.mark.browser

DRIFTING = SCHEMA.features[2]
TALL = {DRIFTING.name: 3.0}


@pytest.fixture(scope="module")
def told(home, flowers, dashboard):
    "A quiet day, a drifted hour, and a service that takes true classes."
    flowers(120, minutes_ago=60 * 20)
    ids = flowers(80, minutes_ago=30, shift=TALL)
    with Live(home, {}) as service, dashboard(home, IRIS_URL=service.url) as url:
        yield url, ids


def light(page, name):
    return page.locator(".light", has_text=name)


def test_an_injected_drift_turns_its_light_red_and_names_the_feature(look, told):
    page = look(told[0] + "?window=1h")
    expect(light(page, "Drift")).to_have_class(re.compile("alarm"))
    expect(light(page, "Drift")).to_contain_text(DRIFTING.name.replace("_", " ").capitalize())
    expect(page.locator(".verdicts .alarm").first).to_contain_text("standard deviations")


def test_the_light_of_the_service_is_green_while_it_answers(look, told):
    expect(light(look(told[0] + "?window=1h"), "Service")).to_have_class(re.compile("good"))


def test_one_prediction_is_opened_from_the_history_and_explained(visit, told):
    page = visit(told[0] + "?window=1h")
    page.locator("a[data-row]").first.click()
    expect(page.locator("p.flip")).to_be_visible()
    expect(page.get_by_text("spoke most strongly")).to_be_visible()
    expect(page).to_have_url(re.compile("row="))


def test_an_explained_prediction_can_be_sent_to_somebody(visit, told):
    url, ids = told
    page = visit(f"{url}?row={ids[0]}")
    expect(page.locator("p.flip")).to_be_visible()


def test_a_slider_flips_the_class(visit, told):
    page = visit(told[0])
    finding = page.locator(".finding", has_text="with a probability of").last
    before = finding.inner_text().partition(", with a probability of")[0]
    assert before in SCHEMA.classes
    handle = page.locator(".sliders .noUi-handle").nth(2)
    handle.focus()
    page.keyboard.press("End")
    expect(finding).not_to_have_text(re.compile(f"^{re.escape(before)},"))


def test_a_true_class_is_noted_and_changes_the_quality(visit, told):
    url, ids = told
    page = visit(f"{url}?window=1h&row={ids[-1]}")
    expect(page.get_by_text("No true class has been entered")).to_be_visible()
    page.get_by_label("It really was").select_option(SCHEMA.classes[1])
    page.get_by_role("button", name="Note it").click()
    expect(page.get_by_text(f"Recorded: it was {SCHEMA.classes[1]}")).to_be_visible()
    expect(page.locator(".finding", has_text=re.compile("of 1 labelled answers? were right"))).to_be_visible()


def test_it_looks_again_by_itself(visit, told, flowers):
    page = visit(told[0] + "?window=1h&refresh=5")
    expect(page.get_by_text("80 in this window")).to_be_visible()
    flowers(3, minutes_ago=0)
    expect(page.get_by_text("83 in this window")).to_be_visible()


def test_a_token_guards_it(visit, home, dashboard, browser):
    with dashboard(home, IRIS_DASHBOARD_TOKEN="let-me-in") as url:
        stranger = browser.new_page()
        stranger.goto(url)
        expect(stranger.locator("h1")).to_have_count(0)
        expect(stranger.locator("input[type=password]").first).to_be_visible()
        stranger.close()
        expect(visit(url + "?token=let-me-in").locator("h1")).to_be_visible()
