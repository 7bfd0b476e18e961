"From a caller's rows to a model's rows: one question for each source, rules for what is absent, too old or wrong."

from dataclasses import replace

import pytest

from iris_nb.lookup.source import Found, Lookups, Used
from tests.lookup.worlds import DAY, LOANS


class Known:
    "A source with one state for each key, which counts the questions."

    def __init__(self, **found: Found) -> None:
        self.found, self.asked = found, list[list[str]]()

    def latest(self, keys, now):
        self.asked.append(list(keys))
        return [self.found.get(key) for key in keys]

    def as_of(self, keys, times):
        return self.latest(keys, 0)


CUSTOMERS = {"c1": Found({"income": 52_000, "rating": "A"}, 0)}
DISTRICTS = {"north": Found({"price per m²": 4000}, 0)}


def lookups(schema=LOANS, customers=CUSTOMERS, districts=DISTRICTS):
    return Lookups(schema, {"customers": Known(**customers), "districts": Known(**districts)})


def test_a_row_gets_its_features_in_the_order_of_the_schema():
    [done] = lookups().complete([(5000.0, "c1", "north")], DAY)
    assert (done.row, done.faults) == ((5000.0, 52_000, "A", 4000), ())
    assert done.used == {"income": Used(52_000, 86400), "rating": Used("A", 86400), "price": Used(4000, 86400)}


def test_each_source_is_asked_once_for_all_rows():
    made = lookups()
    made.complete([(5000.0, "c1", "north")] * 50, DAY)
    assert [len(source.asked) for source in made._sources.values()] == [1, 1]


def test_training_and_serving_give_the_same_row():
    rows = [(5000.0, "c1", "north"), (1.0, "c2", None)]
    now, then = lookups().complete(rows, 9 * DAY), lookups().complete(rows, [9 * DAY] * 2)
    assert now == then


@pytest.mark.parametrize(("age", "rating"), [(7 * DAY, Used("A", 7 * 86400)), (7 * DAY + 1, Used(None, None))])
def test_a_value_is_taken_until_its_largest_age_and_not_later(age, rating):
    [done] = lookups().complete([(5000.0, "c1", "north")], age)
    assert done.used["rating"] == rating


def test_a_value_of_the_future_has_no_negative_age():
    [done] = lookups(customers={"c1": Found({"income": 1, "rating": "A"}, 10)}).complete([(5.0, "c1", "north")], 5)
    assert done.used["income"].age == 0


def test_every_fault_of_a_row_is_named_with_its_key():
    old = Found({"income": "much", "rating": "Z"}, 0)
    [done] = lookups(customers={"c1": old}).complete([(5000.0, "c1", "north")], DAY)
    assert [(f.field, f.got) for f in done.faults] == [("customer_id", '"much"'), ("customer_id", '"Z"')]


def test_a_key_that_is_not_known_is_refused_or_gets_the_declared_value():
    [done] = lookups().complete([(5000.0, "nobody", "nowhere")], DAY)
    assert [str(f) for f in done.faults] == [
        'customer_id: expected a key for which customers has income, got "nobody", which has none'
    ]
    assert done.used == {"rating": Used(None, None), "price": Used(2500, None)}


def test_a_key_that_may_be_left_out_is_not_asked_for():
    made = lookups()
    [done] = made.complete([(5000.0, "c1", None)], DAY)
    assert done.row[3] == 2500
    assert made._sources["districts"].asked == [[]]


def test_a_value_that_is_too_old_is_refused_with_its_age():
    income = replace(LOANS.features[1], lookup=replace(LOANS.features[1].lookup, max_age="36h"))
    schema = replace(LOANS, features=(LOANS.features[0], income, *LOANS.features[2:]))
    [done] = lookups(schema).complete([(5000.0, "c1", "north")], 3 * DAY)
    assert str(done.faults[0]) == (
        'customer_id: expected a key for which customers has income of the last 36h, got "c1", whose value is 3 d old'
    )


def test_a_gap_that_the_source_knows_of_is_one_with_an_age():
    [done] = lookups(customers={"c1": Found({"income": 1, "rating": None}, 0)}).complete([(5.0, "c1", "north")], DAY)
    assert done.used["rating"] == Used(None, 86400)


def test_no_rows_ask_for_nothing():
    assert lookups().complete([], DAY) == []
