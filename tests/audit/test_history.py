"""Pages, single rows and figures are right while rows arrive."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from iris_nb.audit.history import Window, _percentile
from iris_nb.audit.maintenance import prune
from tests.audit.logs import NOON, SCHEMA, SECOND, entries, entry, open_log


def test_pages_hold_every_row_once_newest_first(log):
    log.append(entries(95))
    seen, cursor, sizes = [], None, []
    while True:
        page = log.history(limit=10, before=cursor)
        seen += [row["id"] for row in page.rows]
        sizes.append(len(page.rows))
        if (cursor := page.next) is None:
            break
    assert seen == [e.id for e in reversed(entries(95))]
    assert sizes == [10] * 9 + [5]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 7),
    arrivals=st.lists(st.lists(st.integers(-50, 50), max_size=4), max_size=12),
    times=st.lists(st.integers(-3, 3), min_size=1, max_size=20),
)
def test_pages_stay_right_while_rows_arrive_whatever_their_clocks_say(place, limit, arrivals, times):
    with open_log(place, sync="normal") as log:
        start = log.database.ends().seq
        log.append([entry(start + i, time=NOON + t) for i, t in enumerate(times)])
        expected = [row["id"] for row in log.history(10_000).rows]
        page = log.history(limit)
        seen = [row["id"] for row in page.rows]
        while page.next:
            for late in arrivals.pop() if arrivals else []:
                log.append([entry(log.database.ends().seq, time=NOON + late)])
            page = log.history(limit, before=page.next)
            seen += [row["id"] for row in page.rows]
        assert seen == expected
        prune(log, datetime(2100, 1, 1, tzinfo=UTC))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    window=st.builds(
        Window,
        since=st.none() | st.integers(NOON, NOON + 100 * SECOND),
        until=st.none() | st.integers(NOON, NOON + 100 * SECOND),
        label=st.none() | st.sampled_from(SCHEMA.classes),
        model_version=st.none() | st.sampled_from(["1", "2", "3"]),
        min_confidence=st.none() | st.sampled_from([0.5, 0.6, 0.75, 1.0]),
        max_confidence=st.none() | st.sampled_from([0.5, 0.6, 0.75, 1.0]),
    )
)
def test_a_window_means_the_same_rows_in_pages_and_in_figures(log, window):
    if not log.count():
        log.append(entries(100))
    inside = [
        e
        for e in entries(100)
        if (window.since is None or e.time >= window.since)
        and (window.until is None or e.time < window.until)
        and window.label in (None, e.labels[0])
        and window.model_version in (None, e.model_version)
        and (window.min_confidence is None or e.confidences[0] >= window.min_confidence)
        and (window.max_confidence is None or e.confidences[0] <= window.max_confidence)
    ]
    wanted = {name: getattr(window, name) for name in window.__dataclass_fields__}
    assert [row["id"] for row in log.history(1000, **wanted).rows] == [e.id for e in reversed(inside)]
    figures = log.summary(**wanted)
    assert figures["count"] == len(inside)
    assert figures["classes"] == {name: sum(e.labels[0] == name for e in inside) for name in SCHEMA.classes}
    if inside:
        assert figures["mean_confidence"] == pytest.approx(sum(e.confidences[0] for e in inside) / len(inside))
        assert figures["max_duration_ms"] == max(e.duration_ms for e in inside)
        assert figures["p50_duration_ms"] <= figures["p95_duration_ms"] <= figures["max_duration_ms"]
    else:
        assert figures["mean_confidence"] is figures["p95_duration_ms"] is None


@pytest.mark.parametrize("version", ["1", "2", "9"])
def test_a_filtered_page_looks_at_so_many_rows_and_the_search_goes_on(log, monkeypatch, version):
    monkeypatch.setattr("iris_nb.audit.history._SCAN_LIMITS", (3, 4))
    log.append(entries(100))
    seen, sizes, page = [], [], log.history(limit=4, model_version=version)
    while True:
        seen += [row["id"] for row in page.rows]
        sizes.append(len(page.rows))
        if page.next is None:
            break
        page = log.history(limit=4, before=page.next, model_version=version)
    assert seen == [e.id for e in reversed(entries(100)) if e.model_version == version]
    assert max(sizes) <= 4
    assert len(sizes) >= 100 // 7


def test_figures_over_time_add_up_to_the_summary(log):
    log.append(entries(100))
    buckets = log.over_time(NOON, NOON + 100 * SECOND, buckets=7)
    assert [b["time"] for b in buckets][:2] == [NOON, NOON + 14_285_715]
    assert sum(b["count"] for b in buckets) == 100
    for name in SCHEMA.classes:
        assert sum(b["classes"][name] for b in buckets) == log.summary()["classes"][name]
    later = log.over_time(NOON + 1000 * SECOND, NOON + 1100 * SECOND, buckets=3)
    assert [b["count"] for b in later] == [0, 0, 0]


@pytest.mark.parametrize(
    "window",
    [{}, {"until": NOON + 90 * SECOND}, {"since": NOON + 9 * SECOND}, {"label": "x"}, {"since": 1, "label": "x"}],
)
def test_every_page_is_found_by_the_index_between_two_ends(tmp_path, window):
    with open_log(tmp_path / "audit.db") as log:
        log.append(entries(100))
        asked, plans = [], []
        log.database.fetch = lambda query, ask=log.database.fetch: (asked.append(query), ask(query))[1]
        log.history(10, before=f"{NOON + 95 * SECOND}-96-100", **window)
        for query in asked:
            compiled = query.compile(log.database.engine, compile_kwargs={"literal_binds": True})
            with log.database.engine.connect() as connection:
                plans.append([row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}"))])
    assert plans
    for first, *others in plans:
        assert "since" not in window or first.endswith("INDEX rows_by_time (time>? AND time<?)")
        assert first.endswith("time<?)")
        assert all(step.startswith("SEARCH") for step in others)


@pytest.mark.parametrize("cursor", ["page 2", "1-2", "1-2-3-4", "-1-2-3", "1-2-" + "9" * 30, "１-2-3", "1-2-3\n"])
def test_what_is_no_cursor_is_said_to_be_none(log, cursor):
    with pytest.raises(ValueError, match="no cursor"):
        log.history(before=cursor)


def test_what_is_not_in_the_log_is_not_found(log):
    assert log.get("nobody") is None
    assert log.latest() == []
    assert log.summary()["count"] == 0


@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_percentile_of_nothing_is_the_largest_that_was_seen(share):
    assert _percentile({}, share, 3.0) == 3.0
