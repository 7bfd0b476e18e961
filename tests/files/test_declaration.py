"""Declarations that are proposed for a file: what is found, what is doubted, what is left out, and the code."""

import dataclasses
import subprocess

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from iris_nb import schema as language
from iris_nb.config import IrisError
from iris_nb.examples import HOUSES, IRIS, PEOPLE, houses, irises
from iris_nb.files import commands
from iris_nb.files.declaration import _as_code, _feature_name, declare, lesson, schema_code
from iris_nb.files.frame import read_rows
from iris_nb.files.records import TableError
from iris_nb.files.survey import _widened, survey
from iris_nb.schema import Schema
from iris_nb.train.data import check

ROWS = 200
rng = np.random.default_rng(0)


def base(**columns):
    "A table with a class that nothing tells, and the given columns."
    return pd.DataFrame({"x": rng.normal(5, 1, ROWS).round(3), **columns, "team": ["red", "blue"] * (ROWS // 2)})


@pytest.fixture
def propose(tmp_path):
    def of(frame, target="team", name="table.csv", **how):
        frame.to_csv(tmp_path / name, index=False)
        return declare(survey(tmp_path / name), target, **how)

    return of


def proposal(declared, column):
    return next(p for p in declared.proposals if p.column == column)


def test_every_kind_is_found_and_the_rows_fit_the_declaration(tmp_path):
    theirs = houses(400).rename(columns=dict(zip(HOUSES.names, HOUSES.sources, strict=True)))
    for name in ("houses.csv", "houses.parquet"):
        theirs.to_csv(tmp_path / name, index=False) if name.endswith("csv") else theirs.to_parquet(tmp_path / name)
        schema = declare(survey(tmp_path / name), "sold", row="house").schema
        kinds = {kind.source: (kind.kind, kind.missing) for kind in schema.features}
        assert kinds == {kind.source: (kind.kind, kind.missing) for kind in HOUSES.features}
        assert schema.classes == ("quickly", "slowly")
        assert check(read_rows(tmp_path / name, schema), schema, fewest=1) == []


def test_the_irises_are_declared_as_numbers_with_room_on_either_side(tmp_path):
    irises().to_csv(tmp_path / "flowers.csv", index=False)
    schema = declare(survey(tmp_path / "flowers.csv"), IRIS.target).schema
    assert (schema.names, schema.classes, schema.name) == (IRIS.names, IRIS.classes, "flowers")
    for kind in schema.features:
        column = irises()[kind.name]
        assert kind.low < column.min() < column.max() < kind.high


LEFT_OUT = {
    "an empty column": ([None] * ROWS, "It is empty"),
    "a constant": (["same"] * ROWS, 'It is "same" in every row'),
    "an id": (list(range(1000, 1000 + ROWS)), "it identifies rows"),
    "names": ([f"Mr {i}" for i in range(ROWS)], "names, ids or free text"),
    "free text": ([f"A sentence about {i % 150}, and more." for i in range(ROWS)], "names, ids or free text"),
    "times": (["2024-05-01 12:30"] * 100 + ["2024-05-02 12:30"] * 100, "dates or times in another form"),
    "German dates": (["01.05.2024", "02.05.2024"] * 100, "dates or times in another form"),
    "American dates": (["02/28/2024", "03/01/2024"] * 100, "dates or times in another form"),
    "months in words": (["28 Feb 2024", "1 March 2024"] * 100, "dates or times in another form"),
    "decimal commas": ([f"{i},5" for i in range(ROWS)], 'numbers in another form, such as "0,5"'),
    "percents": ([f"{i % 90}%" for i in range(ROWS)], 'numbers in another form, such as "0%"'),
    "thousands": ([f"{i},000" for i in range(1, 1 + ROWS)], 'numbers in another form, such as "1,000"'),
    "amounts": ([f"€ {i}.90" for i in range(ROWS)], 'numbers in another form, such as "€ 0.90"'),
    "an impossible day": (["2024-05-01", "2024-05-02"] * 99 + ["2024-02-30"] * 2, 'such as "2024-02-30"'),
    "a mixture": (["n/k", *(f"{i / 7:.3f}" for i in range(1, ROWS))], 'mixes numbers with texts such as "n/k"'),
    "huge numbers": ([10**17 + i % 50 for i in range(ROWS)], "where a double has gaps"),
    "long texts": (["a" * 101, "b" * 101] * 100, "can't be categories"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_a_column_that_is_no_feature_is_left_out_with_the_reason(propose, case):
    cells, why = LEFT_OUT[case]
    found = proposal(propose(base(odd=cells)), "odd")
    assert found.kind is None
    assert why in found.why


DOUBTED = {
    "a code": (rng.integers(1, 7, ROWS), "A count, or a code?"),
    "many categories": ([f"agent{i % 6 if i < 120 else i}" for i in range(ROWS)], "Is there a coarser grouping?"),
    "case": (["Gas", "gas", "oil", "coal"] * 50, "differ by upper and lower case"),
    "mixed codes": (["1", "2", "3", "other"] * 50, "are mixed. Are these categories?"),
    "the answer": (["r", "b"] * 100, "Is it known before the answer is?"),
    "the answer, blurred": (np.tile([1.0, 2.0], 100) + rng.random(ROWS) / 2, "Is it known before the answer is?"),
    "days in digits": ([20240228, 20240301] * (ROWS // 2), "Days? Write them as 2026-11-25"),
    "a unit": (rng.random(ROWS).round(3), "in which unit?"),
    "days": (["2024-05-01", "2024-06-01", "2024-07-01", "2024-08-01"] * 50, "asked about days after 2024-08-01"),
}


@pytest.mark.parametrize("case", DOUBTED)
def test_what_may_be_wrong_is_a_question(propose, case):
    cells, doubt = DOUBTED[case]
    declared = propose(base(odd=cells))
    assert any(d.startswith("odd: ") and doubt in d for d in declared.doubts), declared.doubts
    assert "odd" in declared.schema.names


def test_noise_does_not_give_the_answer_away(propose):
    declared = propose(base(noise=rng.random(ROWS), group=rng.integers(0, 5, ROWS)))
    assert not [doubt for doubt in declared.doubts if "answer" in doubt]


@pytest.mark.parametrize(
    ("column", "name", "unit"),
    [
        ("Floor area (m2)", "floor_area", "m2"),
        ("Sepal.Length", "sepal_length", ""),
        ("PetalWidthCm", "petal_width_cm", "cm"),
        ("class", "class_value", ""),
        ("id", "id_value", ""),
        ("time", "time_value", ""),
        ("true", "true_value", ""),
        ("2nd floor", "column_2nd_floor", ""),
        ("%", "column", ""),
        ("Discount %", "discount", "%"),
        ("Price.EUR", "price_eur", "EUR"),
        ("Größe [cm]", "größe", "cm"),
        ("team!", "team_value", ""),
        ("_x", "x", ""),
        ("select", "select", ""),
    ],
)
def test_a_columns_name_becomes_one_that_may_be_used(column, name, unit):
    assert _feature_name(column, [], "team", ["red", "blue"]) == (name, unit)


def test_names_that_become_the_same_are_told_apart(propose):
    declared = propose(base(**{"a b": rng.random(ROWS), "a.b": rng.random(ROWS), "a_b": rng.random(ROWS)}))
    assert declared.schema.names == ("x", "a_b", "a_b_value", "a_b_2")
    assert declared.schema.sources == ("x", "a b", "a.b", "a_b")


@given(st.lists(st.text(min_size=1, max_size=70), max_size=4, unique=True))
def test_any_names_of_columns_can_be_declared(columns):
    taken = []
    for column in columns:
        name, _ = _feature_name(column, taken, "team", ["red", "blue"])
        taken.append(name)
    features = tuple(language.Number(name, "", 0, 1, "", 0) for name in taken)
    assert not features or Schema("table", "row", features, "team", ("red", "blue"))


BAD_TARGETS = {
    "fractions": (lambda: rng.random(ROWS).round(1), "holds numbers with decimals"),
    "too many": (lambda: range(ROWS), "200 different values; a target has at most 100 classes"),
    "one class": (lambda: ["red"] * ROWS, "has only one class"),
    "spellings": (lambda: ["Red", "red "] * 100, "differ by case or blanks only"),
    "long names": (lambda: ["a" * 101, "b"] * 100, "can't be the target"),
}


@pytest.mark.parametrize("case", BAD_TARGETS)
def test_a_column_that_holds_no_classes_is_refused_in_a_sentence(propose, case):
    make, said = BAD_TARGETS[case]
    with pytest.raises(TableError, match=said):
        propose(base().assign(team=make()))
    with pytest.raises(TableError, match="has no column .* Its columns are x, team"):
        propose(base(), target="gone")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1, 0] * 100, ("0", "1")),
        ([10, 9] * 100, ("9", "10")),
        ([True, False] * 100, ("False", "True")),
        (["é", "New York"] * 100, ("New York", "é")),
        (["None", "some"] * 100, ("None", "some")),
    ],
)
def test_classes_are_as_the_file_writes_them_in_order(propose, labels, classes):
    assert propose(base().assign(team=labels)).schema.classes == classes


def test_rows_without_a_class_and_rare_classes_are_doubts(propose):
    doubts = propose(base().assign(team=["red"] * 100 + ["blue"] * 95 + [None] * 2 + ["green"] * 3)).doubts
    assert "team: 2 rows have no class. Fill them in or take them out before training." in doubts
    assert any("fewer than 10 rows are green (3)" in doubt for doubt in doubts)


def test_a_column_that_answers_are_called_is_left_out(propose):
    found = proposal(propose(base(confidence=rng.random(ROWS))), "confidence")
    assert found.kind is None
    assert "answer" in found.why


@pytest.mark.parametrize("schema", [IRIS, PEOPLE, HOUSES], ids=lambda s: s.name)
def test_the_code_of_a_schema_is_the_schema(schema):
    schema = dataclasses.replace(schema, costs=(), target_column="Klasse")
    code = schema_code(schema)
    found = dict(vars(language))
    exec(code, found)
    assert found["SCHEMA"] == schema
    assert max(map(len, code.splitlines())) <= 120
    assert all(_as_code(kind) in code for kind in schema.features)


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12))
def test_bounds_are_wider_than_the_data_and_not_below_zero(low, span):
    high = low + span
    if high > low and high - low > 1e-9 * abs(low):
        below, above = _widened(low, high)
        assert below <= low < high < above
        assert (below >= 0) == (low >= 0)


def test_a_file_without_a_header_asks_for_names(tmp_path):
    (tmp_path / "x.data").write_text("5.1,red\n4.9,blue\n" * 20)
    with pytest.raises(TableError, match="Give the names with --names"):
        survey(tmp_path / "x.data")
    declared = declare(survey(tmp_path / "x.data", ["length", "team"]), "team")
    assert declared.schema.names == ("length",)


HOSTILE = {
    "rows of other lengths": ("a,team\n1,red\n1\n", "too many or too few cells, the first in line 3"),
    "no rows": ("a,team\n", "has no rows"),
    "empty": ("", "it is empty"),
    "nothing but the target": ("team\nred\nblue\n", "no column that can be a feature"),
    "only ids": ("id,team\n" + "".join(f"{i},{'rb'[i % 2]}\n" for i in range(50)), "no column that can be a feature"),
    "a name with a tab": ('"a\tb",team\n1,red\n2,blue\n', "no column that can be a feature"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_can_not_be_declared_is_one_sentence(tmp_path, case):
    text, said = HOSTILE[case]
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TableError, match=said):
        declare(survey(tmp_path / "t.csv"), "team")


# ---- the verb ----------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path, monkeypatch):
    "A repository without lessons, in which nothing is exported."
    (tmp_path / "settings.ini").touch()
    (tmp_path / "nbs/api").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    base(**{"Floor (m2)": rng.random(ROWS)}).to_csv(tmp_path / "data/rows.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "_run", lambda *_: "")
    return tmp_path


def call(*words):
    return CliRunner().invoke(commands.declare, list(words))


def test_without_a_target_the_columns_that_could_be_one_are_shown(repository):
    done = call("data/rows.csv")
    assert done.exit_code == 2
    assert "team  2 values: red, blue" in done.output
    assert "Floor" not in done.output
    assert not list((repository / "nbs/api").iterdir())


def test_a_dry_run_writes_nothing(repository):
    done = call("data/rows.csv", "--target", "team", "--dry-run")
    assert done.exit_code == 0
    assert 'Number("floor", "m2", 0, ' in done.output
    assert not list((repository / "nbs/api").iterdir())


def test_the_lesson_reads_the_file_from_the_repository(repository):
    done = call("data/rows.csv", "--target", "team", "--row", "person")
    assert done.exit_code == 0, done.output
    assert "iris-nb train" in done.output
    text = (repository / "nbs/api/01_table.ipynb").read_text()
    assert 'repository() / \\"data/rows.csv\\"' in text
    assert "#| default_exp table" in text


def test_a_lesson_with_changes_that_git_does_not_keep_is_not_overwritten(repository):
    place = repository / "nbs/api/01_table.ipynb"
    place.write_text("mine")
    done = call("data/rows.csv", "--target", "team")
    assert isinstance(done.exception, IrisError)
    assert "--force" in str(done.exception)
    assert place.read_text() == "mine"
    assert call("data/rows.csv", "--target", "team", "--force").exit_code == 0
    assert place.read_text() != "mine"


def test_a_lesson_that_git_keeps_is_replaced(repository):
    place = repository / "nbs/api/01_table.ipynb"
    place.write_text("mine")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(repository)]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "mine"]):
        subprocess.run([*git, *words], check=True)
    assert call("data/rows.csv", "--target", "team").exit_code == 0
    assert place.read_text() != "mine"


def test_a_lesson_is_a_notebook_with_the_names_of_a_file_without_a_header(repository):
    (repository / "x.data").write_text("5.1,red\n4.9,blue\n" * 20)
    declared = declare(survey(repository / "x.data", ["length", "team"]), "team")
    cells = lesson(declared, 'Path("x.data")', ["length", "team"])["cells"]
    assert 'names=["length", "team"])' in "".join("".join(cell["source"]) for cell in cells)


def test_codes_with_leading_zeros_are_categories_without_a_question(propose):
    declared = propose(base(postcode=["01067", "10115", "20095", "50667"] * (ROWS // 4)))
    assert proposal(declared, "postcode").kind.levels == ("01067", "10115", "20095", "50667")
    assert not [doubt for doubt in declared.doubts if "mixed" in doubt]


def test_yes_and_no_in_words_stay_categories_with_the_reason(propose):
    declared = propose(base(regular=rng.choice(["ja", "nein"], ROWS)))
    assert proposal(declared, "regular").kind.levels == ("ja", "nein")
    assert any("write true and false into the file" in doubt for doubt in declared.doubts)


def test_a_rare_class_is_worth_a_word(propose):
    declared = propose(pd.DataFrame({"size": rng.normal(5, 1, 600), "team": ["red"] * 12 + ["blue"] * 588}))
    assert any("only 2.0% of the rows are red" in doubt for doubt in declared.doubts)


def test_a_question_about_several_columns_is_asked_once():
    asked = [f"size_{i}: in which unit?" for i in range(5)]
    assert commands._doubt_lines(asked) == ["  size_0, size_1, size_2 and 2 more: in which unit?"]


def test_headers_that_names_differ_from_are_explained(repository):
    assert "a file keeps its own headers" in call("data/rows.csv", "--target", "team", "--dry-run").output
