"""The wiring of the page, tried without a browser: a control changes, and the right parts show something else."""

import pytest

from iris_nb.audit.log import AuditLog
from iris_nb.bundle import champion
from iris_nb.dashboard.app import App, Source, early_picture, warm_up_page
from iris_nb.dashboard.page import View
from iris_nb.predict.predictor import Predictor
from iris_nb.table import SCHEMA
from tests.serve.live import Live

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def source(home, flowers):
    "A home with forty predictions of a day ago and twenty of this hour; both together are at most those of the module."
    with AuditLog.open(home / "audit.db") as log:
        there = log.count()
    if not there:
        flowers(40, minutes_ago=60 * 30)
        flowers(20, minutes_ago=30)
    return Source(home, str(home / "audit.db"), NOWHERE)


def shown(panel):
    "The text of a panel's pieces."
    return " ".join(str(getattr(piece, "value", "")) for piece in panel.body.children)


def ids(app):
    "The ids of the rows that the history shows."
    return [part.partition("'")[0] for part in shown(app.history.panel).split("data-row='")[1:]]


def test_every_part_shows_the_window_that_the_address_asks_for(source):
    app = App(source, View("1h"))
    assert "60 predictions in the log, 20 in this window" in app.lead.value
    assert app.lights.value.count("class='light ") == 4
    assert all(panel.body.children for panel in app.panels.values())


def test_another_window_shows_other_rows_and_another_address(source):
    app = App(source, View("1h"))
    app.selection.window.value = "7d"
    assert "60 in this window" in app.lead.value
    assert "window=7d" in app.state.value


def test_the_history_turns_its_pages_there_and_back(source):
    app = App(source, View("7d"))
    first = ids(app)
    app.history.older.click()
    second = ids(app)
    assert not set(first) & set(second)
    app.history.newer.click()
    assert ids(app) == first
    assert app.history.newer.disabled


def test_another_choice_begins_with_the_newest_rows_again(source):
    app = App(source, View("7d"))
    first = ids(app)
    app.history.older.click()
    app.selection.window.value = "30d"
    assert ids(app) == first


def test_a_class_filters_the_history_and_nothing_else(source):
    app = App(source, View("7d"))
    app.selection.label.value = SCHEMA.classes[0]
    assert len(ids(app)) > 1
    assert "60 in this window" in app.lead.value
    assert not [c for c in SCHEMA.classes[1:] if f"</span>{c}" in shown(app.history.panel)]


def test_a_picked_row_is_explained_and_sets_the_sliders(source):
    app = App(source, View("7d"))
    wanted = ids(app)[3]
    app.one.row_id.value = wanted
    row = source.row(wanted)
    assert "class='flip'" in shown(app.one.panel)
    assert f"row={wanted}" in app.state.value
    for name, control in app.what_if.controls.items():
        value = control.feature.from_log(row[name])
        step = getattr(control.widget, "step", 0)
        assert control.value == (pytest.approx(value, abs=step) if isinstance(value, float) else value)


def test_an_id_that_is_not_there_leaves_the_sliders_alone(source):
    app = App(source, View("7d"))
    before = {name: control.value for name, control in app.what_if.controls.items()}
    app.one.row_id.value = "nobody"
    assert "no prediction with the id nobody" in shown(app.one.panel)
    assert {name: control.value for name, control in app.what_if.controls.items()} == before


def test_a_slider_asks_the_champion(source):
    app = App(source, View("1h"))
    before = app.what_if.panel.body.children[1].children[0].value
    for control in app.what_if.controls.values():
        control.value = control.feature.decode(control.feature.bounds[1])
    assert app.what_if.panel.body.children[1].children[0].value != before


def test_a_true_class_needs_a_row_and_a_service(source):
    app = App(source, View("7d"))
    app.one.record.click()
    assert "Pick a row first" in app.one.said.value
    app.one.row_id.value = ids(app)[0]
    app.one.record.click()
    assert "Nothing answers" in app.one.said.value


def test_a_true_class_that_the_service_took_is_shown(source, home):
    with Live(home, {}) as service:
        app = App(Source(home, source.log, service.url), View("7d"))
        app.one.row_id.value = ids(app)[0]
        app.one.record.click()
        assert "Recorded: it was" in app.one.said.value
        assert source.row(app.one.id)["true_label"] == SCHEMA.classes[0]
    with AuditLog.open(home / "audit.db") as log:
        assert log.get(app.one.id)["true_label"] == SCHEMA.classes[0]


def test_without_a_log_the_page_says_what_to_do_and_what_if_goes_on(home, tmp_path):
    app = App(Source(home, str(tmp_path / "audit.db"), NOWHERE), View())
    assert "There is no audit log" in shown(app.panels["traffic"])
    assert "curl" in shown(app.panels["traffic"])
    assert app.lights.value == ""
    assert not app.history.panel.body.children
    assert app.what_if.panel.body.children


def test_a_log_that_cannot_be_read_says_why_and_comes_back_by_itself(source, home):
    moved = home / "audit.db"
    app = App(source, View("7d"))
    text = moved.read_bytes()
    try:
        for name in ("audit.db-wal", "audit.db-shm"):
            (home / name).unlink(missing_ok=True)
        moved.write_text("not a database, whatever its name says" * 100)
        app.selection.again.click()
        assert "class='note warn'" in shown(app.panels["traffic"])
        assert "Traceback" not in shown(app.panels["traffic"])
    finally:
        moved.write_bytes(text)
    app.selection.again.click()
    assert "60 in this window" in app.lead.value


def test_without_a_champion_every_part_still_says_something(source, tmp_path):
    app = App(Source(tmp_path, source.log, NOWHERE), View("7d"))
    assert "make train" in shown(app.what_if.panel)
    assert "no champion" in shown(app.panels["quality"])


def test_the_first_picture_is_shown_again_instead_of_read_again(source, monkeypatch):
    html, early = early_picture(source, View("1h"))
    assert "20 in this window" in html
    app = App(source, View("1h"), early)
    assert "data-rest" in app.state.value
    assert not app.panels["drift"].body.children
    monkeypatch.setattr(Source, "snapshot", lambda *_: pytest.fail("the log was read again"))
    app.look()
    assert app.panels["drift"].body.children
    assert "data-rest" not in app.state.value


def test_the_first_picture_is_not_used_once_the_reader_chose_something_else(source):
    app = App(source, View("1h"), early_picture(source, View("1h"))[1])
    app.selection.window.value = "7d"
    assert "60 in this window" in app.lead.value


def test_a_page_without_a_log_has_no_first_picture_and_warms_up_in_silence(home, tmp_path):
    nowhere = Source(home, str(tmp_path / "audit.db"), NOWHERE)
    assert early_picture(nowhere, View()) == ("", None)
    warm_up_page(nowhere)


def test_the_model_that_answers_the_sliders_is_the_champion(source, home):
    assert source.predictor().card == Predictor.load(champion(home / "bundles")).card
