"""What was asked and answered, as the page shows it."""

from iris_nb.dashboard.traffic import lead, what_if


def test_an_empty_log_and_a_missing_champion_are_said_on_the_page():
    assert "The log is empty" in lead(None, 0, [])
    assert "No model has been promoted yet" in what_if(None, {})[0]
