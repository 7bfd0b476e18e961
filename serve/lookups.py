"""Features that are looked up: rows with keys become rows with features, in groups, before they are answered."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from msgspec import structs

from iris_nb.client import ClientError
from iris_nb.lookup.source import Completed, SourceError
from iris_nb.lookup.sources import Sources
from serve.batching import Batcher, RequestContext
from serve.errors import Busy, SourceDown, strip_paths
from serve.parsing import NO_OPTIONS, Options, Row, fault_at, invalid
from serve.schemas import Answer, BadRow, LookedUp, with_rejected

log = logging.getLogger("serve")
Where: TypeAlias = Callable[[int], str]  # from the position of a row to its JSON pointer


def _unknown_place(row: int) -> str:
    "Return the pointer to a row that is the whole body, or has no place of its own."
    return ""


class _Waiting(NamedTuple):
    "The rows of one request that waits for its features."

    rows: list[Row]
    answer: asyncio.Future[list[Completed]]


class FeatureLookup:
    """Asks the sources in groups: one query of each source for all the requests that arrived during the one before.

    `fault` says why nothing can be looked up, and is empty while it can.
    """

    def __init__(self, open_sources: Callable[[], Sources], seconds: float, max_waiting: int) -> None:
        self._open, self._seconds, self._max_waiting = open_sources, seconds, max_waiting
        self._sources: Sources | None = None
        self._pending: list[_Waiting] = []
        self._at_work: asyncio.Task[None] | None = None
        self.fault = "The sources of the features are not open yet."

    def check(self) -> None:
        "Find out whether the sources answer, and open them where they are not open, or were replaced."
        before, is_open = self.fault, self._sources is not None
        try:
            if self._sources is None:
                self._sources = self._open()
            self._sources.check()
            self.fault = ""
        except (SourceError, ClientError) as error:
            self.close()
            if is_open:
                self.check()  # a file that was replaced is opened at once
                return
            self.fault = strip_paths(error)
            if self.fault != before:
                log.error("features can't be looked up", extra={"fault": str(error)})

    def close(self) -> None:
        "Close the sources; the next check opens them again."
        if self._sources:
            self._sources.close()
            self._sources = None

    async def complete(self, rows: list[Row]) -> list[Completed]:
        "Return rows with their features, in their order; raise SourceDown or Busy."
        if self._pending and sum(len(w.rows) for w in self._pending) + len(rows) > self._max_waiting:
            raise Busy("Too many rows are waiting for their features; ask again in 1 s.", retry_after=1)
        answer: asyncio.Future[list[Completed]] = asyncio.get_running_loop().create_future()
        self._pending.append(_Waiting(rows, answer))
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        "Look up group after group, until no request waits."
        try:
            while group := self._pending:
                self._pending = []
                found = await self._found([row for waiting in group for row in waiting.rows])
                at = 0
                for waiting in group:
                    part = slice(at, at := at + len(waiting.rows))
                    _hand_out(waiting.answer, found if isinstance(found, SourceDown) else found[part])
        finally:
            self._at_work = None

    async def _found(self, rows: list[Row]) -> list[Completed] | SourceDown:
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._ask, rows), self._seconds)
        except TimeoutError:
            why = f"The sources of the features did not answer within {self._seconds:g} s."
        except SourceError as error:
            why = strip_paths(error)
        except Exception:
            log.exception("features can't be looked up")
            why = "The sources of the features can't be used; the service's log says why."
        return SourceDown(why, retry_after=1)

    def _ask(self, rows: list[Row]) -> list[Completed]:
        if (sources := self._sources) is None:
            raise SourceError(self.fault)
        return sources.lookups.complete(rows, time.time_ns() // 1000)


def _hand_out(answer: asyncio.Future[list[Completed]], found: list[Completed] | SourceDown) -> None:
    if answer.done():  # the caller left
        return
    if isinstance(found, SourceDown):
        answer.set_exception(found)
    else:
        answer.set_result(found)


def _good_rows(found: list[Completed], where: Where) -> list[Row]:
    "Return the completed rows; raise InvalidInput with what is wrong with them, at the pointer of each row."
    faults = [fault_at(where(i), f.field, f.expected, f.got) for i, row in enumerate(found) for f in row.faults]
    if faults:
        raise invalid(faults)
    return [row.row for row in found]


def _without_bad_rows(
    found: list[Completed], rejected: list[BadRow], where: Where
) -> tuple[list[Completed], list[BadRow]]:
    "Return the good rows of a batch, at least one, and all that are bad, in order; raise InvalidInput."
    known = {bad.index for bad in rejected}
    places = [i for i in range(len(found) + len(rejected)) if i not in known]
    good, bad = list[Completed](), list(rejected)
    for place, row in zip(places, found, strict=True):
        if row.faults:
            bad.append(BadRow(place, [fault_at(where(place), f.field, f.expected, f.got) for f in row.faults]))
        else:
            good.append(row)
    if not good:
        raise invalid([fault for row in bad for fault in row.errors])
    return good, sorted(bad, key=lambda row: row.index)


class Rows:
    "Answers rows as callers send them: looks up their features, where any are, and gives them to the batcher."

    def __init__(self, batcher: Batcher, lookup: FeatureLookup | None) -> None:
        self._batcher, self.lookup = batcher, lookup

    @property
    def fault(self) -> str:
        "Why no features can be looked up; empty while they can, or need not."
        return self.lookup.fault if self.lookup else ""

    def check(self) -> None:
        "Find out whether features can be looked up."
        if self.lookup:
            self.lookup.check()

    def close(self) -> None:
        "Close the sources."
        if self.lookup:
            self.lookup.close()

    def predict(
        self, rows: list[Row], context: RequestContext, options: Options = NO_OPTIONS, where: Where = _unknown_place
    ) -> Awaitable[Answer]:
        "Answer rows that were checked; raises what `Batcher.predict` raises, and InvalidInput or SourceDown."
        if self.lookup is None:  # what the batcher returns is handed on as it is
            return self._batcher.predict(rows, context, options.alpha)
        return self._complete_and_predict(self.lookup, rows, context, options, where)

    async def _complete_and_predict(
        self, lookup: FeatureLookup, rows: list[Row], context: RequestContext, options: Options, where: Where
    ) -> Answer:
        found = await lookup.complete(rows)
        answer = await self._batcher.predict(_good_rows(found, where), context, options.alpha)
        return _with_looked_up(answer, found) if options.looked_up else answer

    async def predict_good(
        self, rows: list[Row], rejected: list[BadRow], context: RequestContext, options: Options, where: Where
    ) -> Answer:
        "Answer the good rows of a batch, and list the bad ones, also those whose features can't be used."
        if self.lookup is None:
            return with_rejected(await self._batcher.predict(rows, context, options.alpha), rejected)
        found, rejected = _without_bad_rows(await self.lookup.complete(rows), rejected, where)
        answer = await self._batcher.predict([row.row for row in found], context, options.alpha)
        return with_rejected(_with_looked_up(answer, found) if options.looked_up else answer, rejected)


def _with_looked_up(answer: Answer, found: list[Completed]) -> Answer:
    "Return an answer with the values that were looked up, row by row, and their ages."
    values = [{name: LookedUp(used.value, used.age) for name, used in row.used.items()} for row in found]
    return structs.replace(answer, looked_up=values)
