"""What the workers of a service share of their counts."""

import msgspec
import pytest

from serve.counters import Counts, Histogram, SharedCounters


@pytest.fixture
def shared(tmp_path):
    return SharedCounters(tmp_path / "metrics")


def test_the_counts_of_other_workers_are_found(shared):
    shared.put(Counts(requests={"GET / 200": 2}))
    assert shared.others() == []
    other = shared.folder / "1.json"
    other.write_bytes(shared.mine.read_bytes())
    assert shared.others()[0].requests == {"GET / 200": 2}


OTHER_BOUNDS = msgspec.json.encode(Counts(confidence=Histogram.over((0.1, 0.2))))


@pytest.mark.parametrize(
    "junk",
    [b"", b"{", b"[]", b"\xff", b"[" * 9999, b'{"requests": 1}', b'{"requests": {"x": 1}}', OTHER_BOUNDS],
    ids=str,
)
def test_files_that_are_no_counts_are_left_out(shared, junk):
    shared.put(Counts())
    (shared.folder / "x.json").write_bytes(junk)
    (shared.folder / "folder.json").mkdir()
    assert shared.others() == []
