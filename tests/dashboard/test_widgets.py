"""The parts that the page is made of."""

import ipywidgets as widgets

from iris_nb.dashboard.widgets import filled, update_options


def test_a_control_is_put_on_the_page_as_it_is():
    button = widgets.Button()
    assert filled(widgets.HTML(), button) is button


def test_a_list_that_offers_the_same_again_is_left_alone():
    control = widgets.Dropdown(options=[("all", "")], value="")
    update_options(control, ["a"])
    before = control.options
    update_options(control, ["a"])
    assert control.options is before
