"""The parts that the page is made of."""

import ipywidgets as widgets
import pytest

from iris_nb.dashboard.traffic import _decision_note, what_if
from iris_nb.dashboard.widgets import _filled, controls, update_options
from iris_nb.examples import HOUSES, PEOPLE


def test_a_control_is_put_on_the_page_as_it_is():
    button = widgets.Button()
    assert _filled(widgets.HTML(), button) is button


def test_a_list_that_offers_the_same_again_is_left_alone():
    control = widgets.Dropdown(options=[("all", "")], value="")
    update_options(control, ["a"])
    before = control.options
    update_options(control, ["a"])
    assert control.options is before


def test_each_kind_has_its_control_and_gives_back_its_values():
    made = controls(HOUSES, HOUSES.example)
    assert {name: control.value for name, control in made.items()} == HOUSES.example
    kinds = [type(made[name].widget).__name__ for name in ("area", "rooms", "garden", "district", "built")]
    assert kinds == ["FloatSlider", "IntSlider", "Checkbox", "Dropdown", "DatePicker"]


@pytest.mark.parametrize("feature", HOUSES.features, ids=lambda f: f.name)
def test_a_gap_can_be_chosen_where_the_feature_allows_it(feature):
    control = controls(HOUSES, HOUSES.example)[feature.name]
    assert (control.gap is not None) == feature.missing
    if control.gap:
        asked = []
        control.on_change(lambda change: asked.append(control.value))
        control.gap.value = True
        assert control.widget.disabled
        assert asked == [None]
        control.value = feature.example
        assert control.value == feature.example
        assert not control.widget.disabled


def test_a_text_that_is_not_on_the_list_is_asked_as_other():
    control = controls(HOUSES, {**HOUSES.example, "district": "<b>Harbour</b>"})["district"]
    assert control.value == "other"


def test_what_a_control_can_choose_is_what_the_service_accepts():
    for feature in HOUSES.features:
        control = controls(HOUSES, HOUSES.example)[feature.name]
        for bound in feature.bounds:
            control.value = feature.decode(bound)
            assert feature.accepts(control.value)
            assert feature.encode(control.value) == bound


def test_an_empty_date_is_a_fault_in_words_and_no_error():
    made = controls(HOUSES, HOUSES.example)
    made["built"].widget.value = None
    assert made["built"].value is None
    said = what_if(object(), {name: control.value for name, control in made.items()}, HOUSES)
    assert "built: expected a date" in said[0]


def test_a_decision_is_said_with_what_it_costs_where_costs_are_declared():
    (said,) = _decision_note([0.7, 0.3], HOUSES)  # a missed quick sale costs five times a false alarm
    assert "Decision: quickly, at an expected cost of 0.7 (of the others: slowly 1.5)" in said
    assert _decision_note([0.7, 0.3], PEOPLE) == []
