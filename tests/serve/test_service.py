"""The parts of the service together."""

import asyncio
from pathlib import Path

from serve.audit import AuditTrail
from serve.reloading import ModelReloader
from serve.service import Service
from serve.settings import Settings
from tests.waiting import wait_until


def test_the_watch_outlives_a_fault_and_looks_at_the_log_again(home: Path, monkeypatch, caplog):
    looked = []

    def fails_first(self: ModelReloader) -> None:
        looked.append("champion")
        if len(looked) == 1:
            raise RuntimeError("something unforeseen")

    monkeypatch.setattr(ModelReloader, "check", fails_first)
    monkeypatch.setattr(AuditTrail, "watch", lambda self: looked.append("log"))

    async def main() -> None:
        service = Service(Settings(home=home, watch_seconds=0.001))
        task = asyncio.create_task(service._watch())
        await asyncio.to_thread(wait_until, lambda: "log" in looked, "the log is looked at")
        task.cancel()

    asyncio.run(main())
    assert "the watch failed, and goes on" in caplog.text
    assert looked[:3] == ["champion", "log", "champion"]
