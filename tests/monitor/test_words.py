"""What is said of many verdicts: each sentence once, and what found nothing as one."""

from iris_nb.monitor.report import Verdict
from iris_nb.monitor.words import in_words, said_once


def quiet(count):
    return [Verdict(f"f{i}", "good", f"F{i} is as in training. {in_words(0.5, 90)}", 0.5) for i in range(count)]


def test_a_few_quiet_features_have_a_sentence_each():
    assert len(said_once(quiet(8))) == 8


def test_many_quiet_features_share_a_sentence_that_keeps_theirs():
    (said,) = said_once(quiet(40))
    assert said.sentence.startswith("40 comparisons of features, gaps and classes are as in training. By chance alone")
    assert said.folded == tuple(v.sentence for v in quiet(40))


def test_an_alarm_and_a_new_value_keep_their_own_sentences():
    alarm = Verdict("height", "alarm", "Height averages 1.9 m.", 0.001)
    new = Verdict(
        "district", "good", f'District is as in training. Not in its list: "Port" (3). {in_words(0.5, 90)}', 0.5
    )
    states = [(said.state, said.folded == ()) for said in said_once([*quiet(40), new, alarm])]
    assert states == [("alarm", True), ("good", True), ("good", False)]


def test_what_is_true_of_all_is_said_once():
    few = [Verdict(name, "unsure", "1 row is too few to judge; it takes 20.") for name in "abc"]
    assert [said.sentence for said in said_once(few)] == ["1 row is too few to judge; it takes 20."]


def test_chances_of_nearly_one_are_said_in_words():
    assert in_words(1.0, 360) == "By chance alone, nearly all windows of 360 rows differ as much."
    assert "42% of windows" in in_words(0.42, 360)
