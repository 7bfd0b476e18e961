"A model answers what the log holds: bit for bit what it answered then, and what is different, row by row."

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import update

from iris_nb.audit.log import AuditLog, Entry
from iris_nb.compare.replay import ReplayError, read_chunks, replay, replay_lines, rows_to_replay
from iris_nb.compare.sequence import Verdict
from iris_nb.examples import HOUSES, IRIS, houses, irises
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Schema, encode_columns
from tests.conftest import bundle_maker

SECOND = 1_000_000
DATA = {"houses": (HOUSES, houses(400)), "irises": (IRIS, irises())}


@dataclass
class World:
    "A log that one model has answered, and another model."

    log: AuditLog
    old: Predictor
    new: Predictor
    truth: list[str]


def answered(log: AuditLog, model: Predictor, rows: list[list[object]], version: str = "1", sizes=(1, 7, 30)) -> None:
    "Answer rows in requests of several sizes, as the service does."
    at, number = 0, log.count()
    while at < len(rows):
        part = rows[at : at + sizes[number % len(sizes)]]
        P = model.probabilities(np.array(encode_columns(model.schema, part), dtype=np.float64).T)
        log.append(
            [
                Entry(
                    f"id-{version}{number:06}-00000", "r", number * SECOND, model.card.name, version, 1.0, None,
                    part, model.labels(P), P.max(axis=1).tolist(), P.tolist(), model.decisions(P),
                )
            ]
        )  # fmt: skip
        at, number = at + len(part), number + 1


def rows_of(schema: Schema, frame) -> list[list[object]]:
    values = frame[list(schema.names)].astype(object)
    return values.where(values.notna(), None).to_numpy().tolist()


@pytest.fixture(params=sorted(DATA))
def world(request: pytest.FixtureRequest, place: str, tmp_path: Path) -> Iterator[World]:
    schema, frame = DATA[request.param]
    make = bundle_maker(schema, frame)
    old = Predictor.load(make(tmp_path, strength=0.01), schema)
    new = Predictor.load(make(tmp_path, version="2"), schema)
    with AuditLog.open(place, schema) as log:
        answered(log, old, rows_of(schema, frame))
        yield World(log, old, new, frame[schema.target].tolist())


def test_the_champion_on_its_own_log_answers_bit_for_bit_as_it_did(world: World):
    seen = replay(world.log.database, world.old, rows_to_replay(world.log.database, None, None))
    assert seen.equal == seen.rows == len(world.truth)
    assert seen.flipped == 0
    assert seen.largest == 0
    assert "bit for bit" in "\n".join(replay_lines(seen))


def test_flips_shift_and_sets_are_those_of_the_two_models(world: World):
    rows = rows_of(world.log.database.schema, DATA[world.old.schema.name.replace("iris", "irises")][1])
    X = np.array(encode_columns(world.old.schema, rows), dtype=np.float64).T
    P, Q = world.old.probabilities(X), world.new.probabilities(X)
    seen = replay(world.log.database, world.new, rows_to_replay(world.log.database, None, None), before=world.old)
    assert seen.flipped == (P.argmax(1) != Q.argmax(1)).sum() > 0
    assert seen.shift == pytest.approx((Q - P).mean(axis=0))
    assert seen.largest == np.abs(Q - P).max()
    assert (
        seen.sizes.tolist() == np.bincount([len(s) for s in world.new.sets(Q, 0.1)], minlength=len(P[0]) + 1).tolist()
    )
    assert seen.sizes_before.sum() == len(X)


def test_labels_give_a_paired_verdict_and_a_corrected_one_counts(world: World):
    log = world.log
    ids = [row["id"] for row in log.history(limit=1000).rows][::-1]
    for id, truth in zip(ids[:60], world.truth, strict=False):
        log.label(id, truth)
    other = next(c for c in log.database.schema.classes if c != world.truth[0])
    before = replay(log.database, world.new, rows_to_replay(log.database, None, None)).sequence
    log.label(ids[0], other, correct=True)
    after = replay(log.database, world.new, rows_to_replay(log.database, None, None)).sequence
    assert before.labels == after.labels == 60
    assert before.band[0] != after.band[0]


def test_chunks_of_any_size_are_the_same_rows(world: World):
    rows = rows_to_replay(world.log.database, None, None)
    for size in (1, 13, 100_000):
        X = np.concatenate([chunk.X for chunk in read_chunks(world.log.database, rows, size)])
        assert np.array_equal(X, np.concatenate([c.X for c in read_chunks(world.log.database, rows)]), equal_nan=True)
        assert len(X) == rows.count


def test_only_rows_of_one_version_are_compared_and_the_others_counted(world: World):
    schema = world.log.database.schema
    answered(world.log, world.new, rows_of(schema, DATA[schema.name.replace("iris", "irises")][1])[:20], version="2")
    newest = rows_to_replay(world.log.database, None, None)
    assert newest.against == "2"
    seen = replay(world.log.database, world.new, newest)
    assert (seen.equal, seen.other) == (20, len(world.truth))
    assert f"{len(world.truth):,} of other versions" in replay_lines(seen)[0]
    older = rows_to_replay(world.log.database, None, None, against="1")
    assert replay(world.log.database, world.old, older).equal == len(world.truth)


def test_a_window_is_a_stretch_of_time(world: World):
    rows = rows_to_replay(world.log.database, 1, None)
    assert replay(world.log.database, world.old, rows).rows == rows.count < len(world.truth)


def test_nothing_in_the_window_and_an_unknown_version_are_sentences(world: World):
    with pytest.raises(ReplayError, match="no prediction in this window"):
        rows_to_replay(world.log.database, 10**15, None)
    with pytest.raises(ReplayError, match="version 9"):
        rows_to_replay(world.log.database, None, None, against="9")


def test_rows_whose_values_are_gone_are_left_out_and_said(tmp_path: Path):
    schema, frame = DATA["houses"]
    model = Predictor.load(bundle_maker(schema, frame)(tmp_path), schema)
    with AuditLog.open(tmp_path / "audit.db", schema) as log:
        answered(log, model, rows_of(schema, frame)[:50])
        database = log.database
        with database.engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA writable_schema=ON")
            connection.exec_driver_sql(
                "UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = 'rows'"
            )
        database.engine.dispose()
        with AuditLog.open(tmp_path / "audit.db", schema) as other:
            with other.database.engine.begin() as connection:
                connection.execute(update(other.database.rows).where(other.database.rows.c.seq <= 3).values(area=None))
            seen = replay(other.database, model, rows_to_replay(other.database, None, None))
        assert (seen.rows, seen.unusable, seen.equal) == (47, 3, 47)
        assert "3 of erased values" in replay_lines(seen)[0]


def test_a_replay_without_labels_goes_on(world: World):
    seen = replay(world.log.database, world.new, rows_to_replay(world.log.database, None, None))
    assert seen.sequence.verdict == Verdict.go_on
    assert "No row that can be compared has a label yet." in replay_lines(seen)[-1]
