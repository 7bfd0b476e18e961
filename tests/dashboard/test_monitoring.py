"""The dashboard as somebody sees it, in a real browser."""

import re
import shutil
import urllib.request

import pytest
from playwright.sync_api import expect

from iris_nb.table import SCHEMA

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def url(home, flowers, dashboard):
    flowers(90, minutes_ago=60 * 30)
    flowers(60, minutes_ago=90)
    with dashboard(home) as url:
        yield url


@pytest.fixture(scope="module")
def empty_url(tmp_path_factory, dashboard):
    with dashboard(tmp_path_factory.mktemp("empty")) as url:
        yield url


def test_an_empty_log_says_so_and_how_to_fill_it(visit, empty_url):
    page = visit(empty_url)
    expect(page.get_by_text("There is no audit log")).to_be_visible()
    expect(page.get_by_text("/predict -H 'content-type: application/json'")).to_be_visible()
    expect(page.get_by_text("No model has been promoted yet")).to_be_visible()


def test_a_log_is_drawn(look, url):
    page = look(url)
    expect(page.get_by_text("150 predictions in the log, 60 in this window")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).not_to_have_count(0)
    expect(page.locator("tbody tr").first).to_be_visible()


def test_the_first_picture_needs_neither_widgets_nor_script(url):
    with urllib.request.urlopen(url) as reply:
        early = reply.read().decode()
    first = early[early.index("id='first'") :]
    assert "60 in this window" in first
    assert first.count("class='light ") == 4
    assert first.count("data-figure=") == 2


def test_the_first_picture_makes_way(look, url):
    page = look(url)
    expect(page.locator("#first")).to_have_count(0)
    expect(page.locator("h1")).to_have_count(1)
    expect(page.get_by_role("heading", name="Traffic")).to_have_count(1)


def test_another_window_shows_other_rows_and_another_address(visit, url):
    page = visit(url)
    page.get_by_label("Window", exact=True).select_option("7d")
    expect(page.get_by_text("150 in this window")).to_be_visible()
    expect(page).to_have_url(re.compile("window=7d"))


def test_a_view_can_be_sent_to_somebody(visit, url):
    page = visit(url + "?window=7d")
    expect(page.get_by_text("150 in this window")).to_be_visible()
    expect(page.get_by_label("Window", exact=True)).to_have_value("7d")


def test_a_window_without_rows_says_so(visit, url):
    page = visit(url)
    page.get_by_label("Window", exact=True).select_option("1h")
    expect(page.get_by_text("Choose a longer window")).to_be_visible()


def test_every_feature_has_a_slider_with_the_bounds_of_the_schema(look, url):
    page = look(url)
    handles = page.locator(".sliders .noUi-handle")
    expect(handles).to_have_count(len(SCHEMA.features))
    for handle, feature in zip(handles.all(), SCHEMA.features, strict=True):
        assert float(handle.get_attribute("aria-valuemin")) == pytest.approx(feature.low, abs=0.05)
        assert float(handle.get_attribute("aria-valuemax")) == pytest.approx(feature.high, abs=0.05)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(look, url, width):
    assert look(url, width).evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def few_url(tmp_path_factory, bundles, logged, dashboard):
    home = tmp_path_factory.mktemp("few")
    shutil.copytree(bundles, home / "bundles")
    logged(home, 3)
    with dashboard(home) as url:
        yield url


def test_three_rows_of_one_instant_are_told_once_and_plainly(visit, few_url):
    page = visit(few_url)
    expect(page.locator(".verdicts li")).to_have_count(1)
    for axis in page.locator(".js-plotly-plot .xaxislayer-above").all():
        labels = axis.locator(".xtick").all_text_contents()
        assert len(labels) == len(set(labels))
    counts = page.locator(".js-plotly-plot", has_text="predictions")
    ticks = counts.locator(".xaxislayer-above .xtick, .yaxislayer-above .ytick").all_text_contents()
    assert "1" in ticks
    assert not {"0.5", "1.5", "2.5"} & set(ticks)


def test_no_figure_is_wider_than_its_place_and_none_leaves_half_a_row_empty(look, url):
    page = look(url)
    widths = """() => [...document.querySelectorAll(".js-plotly-plot")].map(f =>
        Math.abs(f._fullLayout.width - f.parentElement.clientWidth))"""
    page.wait_for_function(f"() => ({widths})().every(off => off < 2)")
    lone = page.locator(".panel:has(#quality) .js-plotly-plot")
    expect(lone).to_have_count(1)
    assert lone.bounding_box()["width"] > 1000


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(look, url):
    page = look(url)
    nameless = """() => [...document.querySelectorAll('select, input, button, [role=slider]')].filter(e =>
        !e.getAttribute('aria-label') && !(e.labels && e.labels.length) && !e.textContent.trim() &&
        getComputedStyle(e).display !== 'none').length"""
    assert page.evaluate(nameless) == 0


def test_the_lights_lead_to_their_parts(look, url):
    page = look(url)
    page.locator(".light", has_text="Drift").click()
    expect(page.locator("#drift")).to_be_focused()


def test_a_visitor_who_leaves_early_leaves_nothing_in_its_output(browser, url, home):
    page = browser.new_page()
    page.goto(url, wait_until="commit")
    page.wait_for_selector(".panel")
    page.close()
    said = (home / "said").read_text()
    assert "Traceback" not in said
    assert "not trusted" not in said
