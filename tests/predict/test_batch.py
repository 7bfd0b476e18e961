"""Files of rows: nothing lost, nothing half done, the same answers as the service's."""

import csv
import dataclasses
import math
import os
import signal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from iris_nb.bundle import Card, champion, point_champion, write_bundle
from iris_nb.config import IrisError
from iris_nb.examples import HOUSES, houses, irises
from iris_nb.examples import IRIS as SCHEMA
from iris_nb.files.reader import CsvTable
from iris_nb.predict.batch import ScoreError, score
from iris_nb.predict.commands import _SET_ASIDE, score_command
from iris_nb.predict.predictor import Predictor
from iris_nb.train.data import arrays
from iris_nb.train.onnx_export import to_onnx
from tests.serve.mixed import doubles_of, write_champion

NAMES = list(SCHEMA.names)
VALUES = [str(feature.example) for feature in SCHEMA.features]
GOOD, BAD = ",".join(VALUES) + "\n", ",".join([*VALUES[:-1], "tall"]) + "\n"
SHORT, LONG = ",".join(VALUES[:-1]) + "\n", ",".join([*VALUES, "5"]) + "\n"
QUOTED = ",".join([f'"{VALUES[0]}"', *VALUES[1:]]) + "\n"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    "A bundles root with a real model of the irises as champion, whatever the project's table is."
    root, (X, y) = tmp_path_factory.mktemp("bundles"), arrays(irises(), SCHEMA)
    fitted = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    labels, P = np.array(SCHEMA.classes)[y], fitted.predict_proba(X)
    card = Card("iris_test", "1", "2026-01-01T00:00:00+00:00", SCHEMA)
    folder = write_bundle(root, card, to_onnx(fitted, SCHEMA), (X[::10], P[::10]), (X, labels), np.zeros(0))
    point_champion(root, folder.name)
    return root


@pytest.fixture(scope="module")
def predictor(bundles):
    return Predictor.load(champion(bundles), SCHEMA)


@pytest.fixture
def command(predictor, monkeypatch):
    "The verb, whose predictor is that of the irises."
    monkeypatch.setattr(Predictor, "load", lambda _: predictor)
    return score_command


@pytest.fixture(scope="module")
def rows():
    low, high = zip(*((f.low, f.high) for f in SCHEMA.features), strict=True)
    X = np.random.default_rng(0).uniform(low, high, (200_000, len(low))).round(2).clip(low, high)
    return pd.DataFrame(X, columns=NAMES).assign(note='a, "b"')


def write(frame, path):
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return path


def read(path):
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.mark.parametrize("source", [".csv", ".parquet"])
@pytest.mark.parametrize("target", [".csv", ".parquet"])
def test_many_chunks_come_back_in_order_with_the_services_answers(predictor, rows, tmp_path, source, target):
    path, out = write(rows, tmp_path / f"rows{source}"), tmp_path / f"out{target}"
    tally = score(predictor, path, out, progress=False)
    answers = read(out)
    assert (tally.answered, tally.faulty, tally.faults) == (len(rows), 0, None)
    assert np.allclose(answers[NAMES], rows[NAMES], rtol=0, atol=0)
    assert (answers["note"] == 'a, "b"').all()
    P = predictor.probabilities(rows[NAMES].to_numpy())
    assert np.allclose(answers[[f"probability_{c}" for c in SCHEMA.classes]], P, atol=1e-15)
    assert answers["predicted"].tolist() == predictor.labels(P)
    assert np.allclose(answers["confidence"], P.max(axis=1), atol=1e-15)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_every_row_is_either_answered_or_set_aside_with_its_number_and_reason(predictor, rows, tmp_path, suffix):
    spoiled = rows.copy()
    bad = np.random.default_rng(1).choice(len(rows), 500, replace=False)
    spoiled.loc[bad[:250], NAMES[0]] = np.nan
    spoiled.loc[bad[250:], NAMES[1]] = 999.0
    tally = score(predictor, write(spoiled, tmp_path / f"rows{suffix}"), tmp_path / "out.parquet", progress=False)
    assert (tally.answered, tally.faulty) == (len(rows) - 500, 500)
    aside = pd.read_csv(tally.faults)
    assert aside["where"].tolist() == [f"line {i + 2}" if suffix == ".csv" else f"row {i + 1}" for i in sorted(bad)]
    assert aside["reason"].str.contains(f"{NAMES[0]}: expected|{NAMES[1]}: expected").all()
    kept = read(tmp_path / "out.parquet")[NAMES]
    assert np.allclose(kept, spoiled.drop(index=bad)[NAMES])


def test_lines_with_the_wrong_number_of_fields_are_named_by_their_line(predictor, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(",".join(NAMES) + "\n" + GOOD + SHORT + GOOD + LONG)
    tally = score(predictor, path, tmp_path / "out.csv", progress=False)
    assert (tally.answered, tally.faulty) == (2, 2)
    assert pd.read_csv(tally.faults)["where"].tolist() == ["line 3", "line 5"]


def test_the_fault_file_of_an_earlier_run_does_not_stay(predictor, tmp_path, rows):
    path = tmp_path / "rows.csv"
    path.write_text(",".join(NAMES) + "\n" + "a,b,c,d\n")
    stale = score(predictor, path, tmp_path / "out.csv", progress=False).faults
    assert stale.exists()
    score(predictor, write(rows[:10], tmp_path / "rows.csv"), tmp_path / "out.csv", progress=False)
    assert not stale.exists()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_without_rows_gives_one_without_rows(predictor, rows, tmp_path, suffix):
    path = write(rows[:0], tmp_path / f"rows{suffix}")
    assert score(predictor, path, tmp_path / "out.parquet", progress=False).answered == 0
    assert "predicted" in read(tmp_path / "out.parquet").columns


def test_a_table_with_faulty_rows_only_is_all_set_aside(predictor, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(",".join(NAMES) + "\n" + "a,b,c,d\n" * 3)
    tally = score(predictor, path, tmp_path / "out.csv", progress=False)
    assert (tally.answered, tally.faulty) == (0, 3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: write(pd.DataFrame({"a": [1]}), p / "rows.csv"), "has the columns a; the table needs"),
        (lambda p: p / "gone.csv", "can't be read"),
        (lambda p: p / "rows.xlsx", "neither a .csv nor a .parquet"),
        (lambda p: (p / "empty.csv").write_text("") or p / "empty.csv", "can't be read: it is empty"),
        (lambda p: (p / "torn.parquet").write_bytes(b"PAR1") and p / "torn.parquet", "can't be read"),
        (lambda p: write(pd.DataFrame({n: [1.0] for n in [*NAMES, "predicted"]}), p / "rows.parquet"), "already"),
        (
            lambda p: write(
                pd.DataFrame({n: [[1.0]] if n == "note" else [1.0] for n in [*NAMES, "note"]}), p / "rows.parquet"
            ),
            "can't hold note",
        ),
    ],
)
def test_a_file_that_can_not_be_scored_is_one_sentence_and_no_output(predictor, tmp_path, make, said):
    with pytest.raises(IrisError, match=said):
        score(predictor, make(tmp_path), tmp_path / "out.csv", progress=False)
    assert not list(tmp_path.glob("*out*"))


def test_a_small_file_that_would_fill_the_disk_leaves_nothing(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr("iris_nb.files.reader.MAX_UNPACKED", 1 << 22)
    source, note = tmp_path / "bomb.parquet", pa.array(["x" * 20_000])
    columns = {feature.name: [feature.example] * 1000 for feature in SCHEMA.features}
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 1000, pa.int32()), note)
    parquet.write_table(pa.table(columns | {"note": texts}), source, store_schema=False)
    with pytest.raises(IrisError, match="most of it in the column note"):
        score(predictor, source, tmp_path / "answers.csv", progress=False)
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_is_not_scored_into_itself(predictor, rows, tmp_path):
    path = write(rows[:5], tmp_path / "rows.csv")
    with pytest.raises(ScoreError, match="is the output itself"):
        score(predictor, path, path, progress=False)


def test_a_file_that_is_damaged_halfway_leaves_nothing_under_the_outputs_name(predictor, rows, tmp_path):
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.Table.from_pandas(rows), path, row_group_size=20_000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 5000] = bytes(5000)
    path.write_bytes(data)
    with pytest.raises(ScoreError, match="failed: "):
        score(predictor, path, tmp_path / "out.parquet", progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]


def test_a_file_with_a_byte_order_mark_is_read(predictor, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(",".join(NAMES) + "\n" + GOOD, encoding="utf-8-sig")
    assert score(predictor, path, tmp_path / "out.csv", progress=False).answered == 1


def test_whole_numbers_and_short_floats_are_numbers(predictor, tmp_path):
    frame = pd.DataFrame({f.name: [math.ceil(f.low)] * 2 for f in SCHEMA.features}).astype(
        {NAMES[0]: "int8", NAMES[1]: "float32"}
    )
    assert score(predictor, write(frame, tmp_path / "rows.parquet"), tmp_path / "o.csv", progress=False).answered == 2


def test_the_command_counts_faulty_rows_in_its_exit_code(command, bundles, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(",".join(NAMES) + "\n" + GOOD + ",".join([*VALUES[:-1], ""]) + "\n")
    words = [str(path), "-o", str(tmp_path / "out.csv"), "--bundle", str(champion(bundles))]
    done = CliRunner().invoke(command, words)
    assert done.exit_code == _SET_ASIDE
    assert "1 rows answered" in done.output
    assert "1 faulty rows set aside" in done.output
    with (tmp_path / "out.faults.csv").open() as file:
        assert next(csv.reader(file))[:2] == ["where", "reason"]


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def table(tmp_path):
    def write(*lines, name="rows.csv"):
        (tmp_path / name).write_text("".join([",".join(NAMES) + "\n", *lines]))
        return tmp_path / name

    return write


def linked(path, target):
    path.symlink_to(target)
    return path


@pytest.mark.parametrize(
    "place",
    [
        lambda p: p / "out.csv",
        lambda p: p / ".." / p.name / "out.csv",
        lambda p: p / "OUT.csv",
        lambda p: p / "out.faults.csv",
        lambda p: p / "Out.Faults.csv",
        lambda p: linked(p / "soft.csv", p / "out.csv"),
        lambda p: linked(p / "soft.csv", p / "out.faults.csv"),
    ],
)
def test_a_source_that_is_the_output_or_its_faults_file_stays_as_it_was(predictor, table, tmp_path, place):
    for name in ("out.csv", "out.faults.csv"):
        table(GOOD, name=name)
    source = place(tmp_path)
    if not source.exists():
        table(GOOD, name=source.name)
    before = snapshot(tmp_path)
    with pytest.raises(ScoreError, match=r"The source .* is the (output|faults file) itself"):
        score(predictor, source, tmp_path / "out.csv", progress=False)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("linked", ["out.csv", "out.faults.csv"])
def test_a_hard_link_to_the_source_is_the_source(predictor, table, tmp_path, linked):
    os.link(table(GOOD), tmp_path / linked)
    before = snapshot(tmp_path)
    with pytest.raises(ScoreError, match="itself"):
        score(predictor, tmp_path / "rows.csv", tmp_path / "out.csv", progress=False)
    assert snapshot(tmp_path) == before


def test_a_file_that_only_bears_the_name_of_the_faults_file_is_not_touched(predictor, table, tmp_path):
    table(GOOD)
    (tmp_path / "out.faults.csv").write_text("mine\n")
    before = snapshot(tmp_path)
    with pytest.raises(ScoreError, match="something else is there: move it"):
        score(predictor, tmp_path / "rows.csv", tmp_path / "out.csv", progress=False)
    assert snapshot(tmp_path) == before


def broken(patch, source):
    "Ways to fail at the very end of a file, with the error that each should raise."
    text = source.read_text()
    yield IrisError, lambda: source.write_text(text + '5.1,"3.5\n')  # a cell without an end
    yield IrisError, lambda: source.write_bytes(text.encode() + ",".join(VALUES[:-1]).encode() + b",\xc3\xa9\xff\n")
    yield IrisError, lambda: patch.setattr(CsvTable, "parse", without_the_last_row(CsvTable.parse))
    yield KeyboardInterrupt, lambda: patch.setattr(CsvTable, "verify", lambda *_: signal.raise_signal(signal.SIGINT))


@pytest.mark.parametrize("way", range(4), ids=["quote", "byte", "lost row", "Ctrl-C"])
def test_an_error_at_the_end_leaves_everything_as_it_was(predictor, table, tmp_path, monkeypatch, way):
    source = table(GOOD, BAD)
    score(predictor, source, tmp_path / "out.csv", progress=False)
    table(BAD * 5, GOOD * 5)
    expected, breaks = list(broken(monkeypatch, source))[way]
    breaks()
    before = snapshot(tmp_path)
    with pytest.raises(expected):
        score(predictor, source, tmp_path / "out.csv", progress=False)
    assert snapshot(tmp_path) == before


def without_the_last_row(parse):
    def lossy(self, block):
        chunk = parse(self, block)
        return dataclasses.replace(chunk, batch=chunk.batch.slice(0, chunk.batch.num_rows - 1))

    return lossy


def test_a_cell_of_several_lines_across_a_block_invents_no_row(predictor, table, tmp_path, monkeypatch):
    row = GOOD.strip()
    cell = f'{row},"first\n{row},second\n{row},third"\n'
    path = table(name="lines.csv")
    path.write_text(",".join([*NAMES, "note"]) + "\n" + f"{row},ok\n" * 20 + cell + f"{row},ok\n" * 20)
    for size in (200, 333, 450, 500, 512):
        monkeypatch.setattr("iris_nb.files.reader._BLOCK", size)
        assert score(predictor, path, tmp_path / "out.csv", progress=False).answered == 41
        assert read(tmp_path / "out.csv")["note"].tolist()[20] == f"first\n{row},second\n{row},third"


def test_text_is_copied_as_it_is(predictor, tmp_path):
    notes = ["=1+2", "@SUM(A1)", "+1", "-2", " x ", "007", 'a "b"', "\u00e9", "NA", ""]
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*NAMES, "note"], *([*VALUES, note] for note in notes)])
    score(predictor, tmp_path / "rows.csv", tmp_path / "out.csv", progress=False)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        assert [row["note"] for row in csv.DictReader(file)] == notes


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(st.lists(st.sampled_from([GOOD, BAD, SHORT, "\n", QUOTED]), max_size=8), st.integers(3, 60))
def test_every_record_is_answered_or_set_aside(predictor, table, tmp_path, lines, size):
    path = table(*lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("iris_nb.files.reader._BLOCK", size)
        result = score(predictor, path, tmp_path / "out.csv", progress=False)
    records = [line for line in lines if line != "\n"]
    assert result.answered == sum(line != BAD and line != SHORT for line in records)
    assert result.answered + result.faulty == len(records)
    if result.faults:
        bad = [i + 2 for i, line in enumerate(lines) if line in (BAD, SHORT)]
        assert pd.read_csv(result.faults)["where"].tolist() == [f"line {i}" for i in bad]


def test_a_program_that_is_asked_to_end_leaves_everything_as_it_was(command, bundles, table, tmp_path, monkeypatch):
    source = table(GOOD, BAD)
    words = [str(source), "-o", str(tmp_path / "out.csv"), "--bundle", str(champion(bundles)), "--quiet"]
    assert CliRunner().invoke(command, words).exit_code == _SET_ASIDE
    before, handler = snapshot(tmp_path), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(CsvTable, "verify", lambda *_: signal.raise_signal(signal.SIGTERM))
    assert CliRunner().invoke(command, words).exit_code == 1
    assert snapshot(tmp_path) == before
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.fixture(scope="module")
def valuer(tmp_path_factory):
    "A predictor of houses: every kind of feature, gaps and costs."
    root = tmp_path_factory.mktemp("houses")
    write_champion(root, HOUSES, doubles_of(HOUSES))
    return Predictor.load(champion(root), HOUSES)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_rows_of_every_kind_are_answered_as_the_predictor_does_with_a_decision(valuer, tmp_path, suffix):
    known = houses(300).drop(columns=HOUSES.target)
    theirs = known.rename(columns=dict(zip(HOUSES.names, HOUSES.sources, strict=True))).assign(note="=1+2")
    done = score(valuer, write(theirs, tmp_path / f"rows{suffix}"), tmp_path / "out.parquet", progress=False)
    answers = read(tmp_path / "out.parquet")
    assert (done.answered, done.faulty) == (300, 0)
    assert list(answers.columns)[: len(theirs.columns)] == list(theirs.columns)
    rows = [{n: None if pd.isna(v) else v for n, v in row.items()} for row in known.to_dict("records")]
    expected = valuer.predict(rows)
    assert answers["predicted"].tolist() == [answer.label for answer in expected]
    P = np.array([list(answer.probabilities.values()) for answer in expected])
    assert np.allclose(answers[[f"probability_{name}" for name in HOUSES.classes]], P, atol=1e-12)
    assert answers["decision"].tolist() == valuer.decisions(P)
    assert answers["rent"].isna().tolist() == known["rent"].isna().tolist()
    assert (answers["note"] == "=1+2").all()


def test_what_is_none_of_its_kind_is_set_aside_with_a_reason_for_each_cell(valuer, tmp_path):
    good = {"area": "90", "rooms": "3", "heating": "", "condition": "good", "district": "Hamlet", "garden": "NA"}
    good |= {"built": "1987-05-01", "rent": ""}
    bad = [
        {"heating": "wood"},
        {"condition": ""},
        {"garden": "perhaps"},
        {"built": "1.5.1987", "rooms": "3.5"},
        {"area": "", "rent": "much"},
    ]
    pd.DataFrame([good, *({**good, **cells} for cells in bad)]).to_csv(tmp_path / "rows.csv", index=False)
    done = score(valuer, tmp_path / "rows.csv", tmp_path / "out.csv", progress=False)
    assert (done.answered, done.faulty) == (1, 5)
    assert pd.read_csv(done.faults)["reason"].tolist() == [
        'heating: expected one of gas, oil, heat pump, or null, got "wood"',
        "condition: expected one of poor, fair, good, got null",
        'garden: expected true or false, or null, got "perhaps"',
        "rooms: expected a whole number from 1 to 30, got 3.5; "
        'built: expected a date from 1850-01-01 to 2050-12-31, got "1.5.1987"',
        "area: expected a number from 10 to 1000 m², got null; "
        'rent: expected a number from 0 to 20000 €, or null, got "much"',
    ]
    with (tmp_path / "out.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["rent"], row["heating"], row["district"]) == ("", "", "Hamlet")
