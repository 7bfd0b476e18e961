"""Tables that can't be trained on, and what is said of them."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from iris_nb.examples import HOUSES, IRIS, PEOPLE, houses, irises
from iris_nb.train import data
from iris_nb.train.data import DataError, read_table

SCHEMA = IRIS
FIRST, SECOND = SCHEMA.names[:2]


def check(frame, schema=IRIS, fewest=10):
    return data.check(frame, schema, fewest)


def remarks(frame, schema=IRIS):
    return data.remarks(frame, schema)


def data_hash(frame):
    return data.data_hash(frame, IRIS)


def split(frame, **how):
    return data.split(frame, IRIS, **how)


@pytest.fixture
def frame():
    return irises()


def test_the_irises_are_fit_to_train_on(frame):
    assert check(frame) == []
    assert frame.shape == (150, 5)
    assert frame[SCHEMA.target].value_counts().to_dict() == dict.fromkeys(SCHEMA.classes, 50)


def test_the_two_rows_that_other_copies_have_wrong_are_as_fisher_published_them(frame):
    assert frame.iloc[34].tolist()[:4] == [4.9, 3.1, 1.5, 0.2]
    assert frame.iloc[37].tolist()[:4] == [4.9, 3.6, 1.4, 0.1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0, 1e6])
def test_a_value_that_no_flower_has_is_named_with_its_row(frame, bad):
    frame.loc[3, FIRST] = bad
    (fault,) = check(frame)
    assert FIRST in fault
    assert fault.endswith("in row 4.")


def test_a_column_of_text_is_one_fault_and_not_a_hundred_and_fifty(frame):
    frame[FIRST] = frame[FIRST].astype(str)
    (fault,) = check(frame)
    assert fault.startswith(f"The column {FIRST} holds ")


def test_true_and_false_are_no_measurements(frame):
    frame[FIRST] = frame[FIRST] > 5
    assert "holds bool, expected numbers" in check(frame)[0]


def test_whole_numbers_are_measurements(frame):
    frame[FIRST] = frame[FIRST].round().astype(int)
    assert check(frame) == []


def test_every_fault_is_reported_at_once(frame):
    frame = frame.drop(columns=SECOND)
    frame.loc[0, FIRST] = np.nan
    frame.loc[1, FIRST] = 999
    frame.loc[2, SCHEMA.target] = "oak"
    faults = check(frame, fewest=50)
    assert len(faults) == 5
    assert any("not one of" in f and f.endswith('in row 3, but "oak".') for f in faults)
    assert any(f"Only 49 rows are {SCHEMA.classes[0]}; at least 50 are needed." in f for f in faults)


def test_a_missing_class_label_is_an_unknown_one(frame):
    frame[SCHEMA.target] = frame[SCHEMA.target].astype(object)
    frame.loc[149, SCHEMA.target] = None
    assert any("row 150" in fault for fault in check(frame))


def test_a_table_without_classes_or_rows_is_described(frame):
    assert check(frame.drop(columns=SCHEMA.target)) == [f"The column {SCHEMA.target} is missing."]
    assert len(check(frame.iloc[:0])) == 3


def test_rows_that_occur_twice_are_remarked(frame):
    twice = pd.concat([frame, frame.iloc[[0, 0]]])
    assert remarks(twice) == ["Rows 1 and 151 and 152 are the same.", "Rows 102 and 143 are the same."]


def test_the_hash_sees_values_and_order_and_nothing_else(frame):
    assert data_hash(frame) == data_hash(frame[frame.columns[::-1]].set_index(np.arange(150) * 7))
    assert data_hash(frame) == "b4eaeed66b4aa114df337ddc56862190cdc25bf3c94c7a2e910f333b2ced2370"
    changed = frame.copy()
    changed.loc[0, FIRST] += 1e-9
    assert data_hash(changed) != data_hash(frame)
    renamed = frame.copy()
    renamed.loc[0, SCHEMA.target] = SCHEMA.classes[1]
    assert data_hash(renamed) != data_hash(frame)


def test_a_split_is_stratified_and_the_same_every_time(frame):
    train, test = split(frame, test_share=0.3, random_state=5)
    assert test[SCHEMA.target].value_counts().tolist() == [15, 15, 15]
    assert not set(train.index) & set(test.index)
    assert split(frame, test_share=0.3, random_state=5)[1].equals(test)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_gives_back_the_table_that_was_written(frame, tmp_path, suffix):
    path = tmp_path / f"table{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    assert data_hash(read_table(path, IRIS)) == data_hash(frame)


@pytest.mark.parametrize(("name", "content"), [("gone.csv", None), ("empty.csv", b""), ("torn.parquet", b"PAR1 torn")])
def test_a_file_that_is_no_table_is_one_sentence(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"{name} can't be read"):
        read_table(path)


@pytest.fixture
def table(tmp_path):
    def write(*lines, name="table.csv"):
        (tmp_path / name).write_text("\n".join([",".join([*PEOPLE.names, PEOPLE.target]), *lines, ""]))
        return read_table(tmp_path / name, PEOPLE)

    return write


def test_rows_of_a_file_are_named_by_their_line(table):
    frame = table("1.7,70,red", "", "9,70,blue", "1.8,,blue")
    assert check(frame, PEOPLE, fewest=1) == [
        "height is not a number from 0.2 to 2.6 m in line 4.",
        "weight has no value in line 5.",
    ]


def test_rows_of_a_parquet_file_are_counted_from_one(tmp_path):
    pd.DataFrame({"height": [1.7, 9], "weight": [70, 70], "team": ["red", "blue"]}).to_parquet(tmp_path / "t.parquet")
    frame = read_table(tmp_path / "t.parquet", PEOPLE)
    assert check(frame, PEOPLE, fewest=1) == ["height is not a number from 0.2 to 2.6 m in row 2."]


def test_a_cell_that_is_no_number_ends_the_training_with_its_line(table):
    with pytest.raises(DataError, match='line 3: weight: expected a number from 1 to 300 kg, got "1_0"; line 4: '):
        table("1.7,70,red", "1.8,1_0,blue", "1.8")


def test_what_else_is_wrong_is_reported_with_a_cell_that_is_no_number(table):
    with pytest.raises(DataError) as found:
        table("1.7,heavy,red", "9,70,blue", ",70,blue")
    assert 'line 2: weight: expected a number from 1 to 300 kg, got "heavy".' in str(found.value)
    assert "height is not a number from 0.2 to 2.6 m in line 3." in str(found.value)
    assert "height has no value in line 4." in str(found.value)
    assert "Only 1 rows are red; at least 10 are needed." in str(found.value)
    assert "weight has no value" not in str(found.value)


def test_classes_may_look_like_numbers(tmp_path):
    schema = dataclasses.replace(PEOPLE, classes=("0", "1"))
    frame = pd.DataFrame({"height": [1.7, 1.8], "weight": [70.0, 80.0], "team": [0, 1]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        assert check(read_table(tmp_path / name, schema), schema, fewest=1) == []


def test_unknown_classes_are_shown(table):
    (fault,) = check(table("1.7,70,red", "1.7,71,blue", "1.8,80,Team-blue"), PEOPLE, fewest=1)
    assert fault == 'team is not one of "red", "blue" in line 4, but "Team-blue".'


def test_what_was_found_out_about_a_file_is_a_remark(tmp_path):
    (tmp_path / "t.csv").write_text("height;weight;team\n1,7;70;red\n1,8;80;blue\n")
    frame = read_table(tmp_path / "t.csv", PEOPLE)
    assert frame["height"].tolist() == [1.7, 1.8]
    assert remarks(frame, PEOPLE) == ["Columns are separated by ';'.", "Decimals are written with a comma."]


def test_remarks_about_equal_rows_are_few_however_many_there_are(frame):
    many = pd.concat([frame] * 40, ignore_index=True)
    said = remarks(many)
    assert len(said) == 11
    assert "and others are the same" in said[0]
    assert said[-1] == "So are 139 other groups of rows."


# ---- every kind of feature ---------------------------------------------------------------------------------------


def test_houses_are_fit_to_train_on_and_become_doubles_with_gaps():
    known = houses()
    assert check(known, HOUSES) == []
    X, y = data.arrays(known, HOUSES)
    for j, kind in enumerate(HOUSES.features):
        expected = [kind.encode(None if pd.isna(value) else value) for value in known[kind.name]]
        assert np.array_equal(X[:, j], expected, equal_nan=True)
    assert [HOUSES.classes[i] for i in y] == known[HOUSES.target].tolist()


SPOILED = {
    "an unknown category": ("heating", "wood", 'heating is not one of gas, oil, heat pump in row 3, but "wood".'),
    "a gap": ("condition", None, "condition has no value in row 3."),
    "a fraction": ("rooms", 3.5, "rooms is not a whole number from 1 to 30 in row 3."),
    "out of bounds": ("rent", -1.0, "rent is not a number from 0 to 20000 € in row 3."),
    "an early day": ("built", "1700-01-01", "built is not a date from 1850-01-01 to 2050-12-31 in row 3"),
    "another spelling": ("garden", "yes", 'garden is not true or false in row 3, but "yes".'),
    "a long category": ("district", "x" * 101, "district is not one of North, South, Old Town, or another text in"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_what_a_feature_does_not_accept_is_named_with_its_row(case):
    name, value, said = SPOILED[case]
    spoiled = houses()
    spoiled[name] = spoiled[name].astype(float if isinstance(value, float) else object)
    spoiled.loc[2, name] = value
    (fault,) = check(spoiled, HOUSES)
    assert fault.startswith(said)


def test_a_gap_where_gaps_are_declared_is_no_fault():
    known = houses()
    known.loc[3, ["heating", "rent", "garden"]] = [None, np.nan, None]
    assert check(known, HOUSES) == []


def test_the_hash_sees_categories_gaps_and_the_names_of_values():
    known, hashed = houses(), data.data_hash(houses(), HOUSES)
    assert hashed == data.data_hash(known.astype({"heating": object, "rooms": float}), HOUSES)
    for name, value in (("heating", "gas"), ("rent", 1.0), ("garden", None), ("built", "1990-01-01")):
        changed = known.copy()
        changed[name] = changed[name].astype(object) if name != "rent" else changed[name]
        row = changed.index[[v != value and not (pd.isna(v) and value is None) for v in changed[name]]][0]
        changed.loc[row, name] = value
        assert data.data_hash(changed, HOUSES) != hashed
    heating = dataclasses.replace(HOUSES.features[2], values=("gas", "oil", "pump"))
    other = dataclasses.replace(HOUSES, features=(*HOUSES.features[:2], heating, *HOUSES.features[3:]))
    assert data.data_hash(known.replace({"heating": {"heat pump": "pump"}}), other) != hashed


def test_equal_rows_with_gaps_are_remarked():
    known = houses(20)
    known.loc[[5, 6], "rent"] = np.nan
    known.loc[6] = known.loc[5]
    assert remarks(known, HOUSES) == ["Rows 6 and 7 are the same."]


@pytest.mark.parametrize("gap", [None, np.nan])
def test_numbers_with_gaps_that_pandas_calls_objects_are_numbers(gap):
    frame = houses(60)
    objects = frame.assign(rent=frame["rent"].astype(object).where(frame["rent"].notna(), gap))
    assert objects["rent"].dtype == object
    assert check(objects, HOUSES) == check(frame, HOUSES)
    np.testing.assert_array_equal(data.arrays(objects, HOUSES)[0], data.arrays(frame, HOUSES)[0])


@pytest.mark.parametrize("other", [True, [1]])
def test_an_object_among_numbers_that_is_none_is_a_fault(other):
    frame = houses(60)
    frame["rent"] = frame["rent"].astype(object)
    frame.at[3, "rent"] = other
    assert "The column rent holds object, expected numbers." in check(frame, HOUSES)


def test_a_cell_of_text_among_numbers_is_named_with_its_row():
    frame = houses().reset_index(drop=True).astype({"area": object})
    frame.loc[3, "area"] = "about 80"
    (fault,) = check(frame, HOUSES)
    assert fault.startswith("area is not ")
    assert fault.endswith(' in row 4, but "about 80".')
