"""Text on the monitoring page reaches a contrast of 4.5 to 1 and marks 3 to 1 (WCAG 2.2, level AA)."""

import re
from pathlib import Path

import numpy as np
import pytest

from iris_nb import charts
from iris_nb.examples import HOUSES
from iris_nb.schema import Category

STYLE = Path(__file__).parents[1] / "nbs/dashboard/theme/voila/templates/iris_nb/static/page.css"
COLOURS = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", STYLE.read_text()))
PALES = [name for name in COLOURS if name.endswith("-pale")]
STATES = [name.removesuffix("-pale") for name in PALES]


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_the_guidelines_do():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("ground", ["paper", "ground", *PALES])
def test_text_can_be_read(ground):
    assert contrast(COLOURS["ink"], COLOURS[ground]) >= 4.5


@pytest.mark.parametrize("ground", ["paper", "ground"])
@pytest.mark.parametrize("text", ["quiet", "accent"])
def test_quiet_text_and_links_can_be_read(text, ground):
    assert contrast(COLOURS[text], COLOURS[ground]) >= 4.5


@pytest.mark.parametrize("state", STATES)
def test_the_word_for_a_state_can_be_read_on_its_own_ground_and_on_paper(state):
    assert contrast(COLOURS[state], COLOURS[f"{state}-pale"]) >= 4.5
    assert contrast(COLOURS[state], COLOURS["paper"]) >= 4.5


@pytest.mark.parametrize("declaration", sorted(set(re.findall(r"[^{};]*?color: #[^;}]+", STYLE.read_text()))))
def test_a_colour_that_has_no_name_stands_out_from_paper_or_is_paper(declaration):
    (colour,) = re.findall(r"#[0-9a-f]{6}|#fff", declaration)
    if colour in ("#fff", "#f3f5f7"):  # on the accent, and on ink
        ground = COLOURS["accent" if colour == "#fff" else "ink"]
        assert contrast("#ffffff" if colour == "#fff" else colour, ground) >= 4.5
    else:
        assert contrast(colour, COLOURS["paper"]) >= 3


@pytest.mark.parametrize("colour", charts.PALETTE)
def test_marks_in_charts_can_be_seen_and_white_text_on_them_be_read(colour):
    assert contrast(colour, "#ffffff") >= 4.5


def test_text_in_charts_can_be_read():
    assert contrast(charts.TEMPLATE.layout.font.color, "#ffffff") >= 4.5
    assert contrast(charts.QUIET, "#ffffff") >= 4.5


def test_a_category_is_drawn_as_bars_of_its_levels_with_its_gaps():
    reference, window = np.array([0.0, 0, 1, 2]), np.array([2.0, 2, np.nan, 1])
    fig = charts.then_and_now(reference, window, HOUSES.features[2], "More heat pumps")
    assert [bar.name for bar in fig.data] == ["training", "now"]
    assert list(fig.data[0].y) == ["gas", "oil", "heat pump", "missing"]
    assert list(fig.data[0].x) == [0.5, 0.25, 0.25, 0]
    assert list(fig.data[1].x) == [0, 0.25, 0.5, 0.25]


def test_a_category_of_many_values_is_drawn_with_the_most_frequent_ones():
    feature = Category("code", tuple(f"<i>{i}</i>" for i in range(300)), "A code.", "<i>1</i>")
    codes = np.repeat(np.arange(300.0), np.arange(300) % 7 + 1)
    fig = charts.then_and_now(codes, codes[::2], feature, "Codes")
    assert len(fig.data[0].y) == 13
    assert fig.data[0].y[-1] == "288 others"
    assert sum(fig.data[0].x) == pytest.approx(1)
    assert "<i>" not in "".join(fig.data[0].y)


def test_a_date_has_an_axis_of_dates():
    days = np.arange(0.0, 4000, 10)
    fig = charts.then_and_now(days, days[:50], HOUSES.features[6], "Older")
    assert str(fig.data[0].x[0]).startswith("1970")


def test_the_share_of_gaps_of_a_quantity_stands_in_its_title():
    fig = charts.then_and_now(np.array([1.0, 2, 3, np.nan]), np.array([1.0, np.nan]), HOUSES.features[7], "Rents.")
    assert "Missing: 50%, in training 25%." in fig.layout.meta


def test_a_window_without_any_value_can_be_drawn():
    gone = np.full(5, np.nan)
    for feature in HOUSES.features:
        assert charts.then_and_now(gone, gone, feature, "Nothing").data
