"""The parts of the service together."""

import asyncio
import subprocess
import sys
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


#: The main process goes at once; its worker loses the first signal, as one does in the moment before it serves.
ORPHAN = """
import multiprocessing, os, signal
from serve.service import _end_with_parent

signals = []

def hear(*_):
    signals.append(1)
    if len(signals) == 2:
        print("ended by the second signal", flush=True)
        os._exit(0)

def work():
    signal.signal(signal.SIGTERM, hear)
    signal.alarm(20)  # no process stays behind
    _end_with_parent()
    while True:
        signal.pause()

multiprocessing.get_context("fork").Process(target=work).start()
os._exit(0)
"""


def test_a_worker_without_its_main_process_ends_though_the_first_signal_was_lost():
    done = subprocess.run([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True, timeout=60)
    assert done.stdout == "ended by the second signal\n"  # read until the worker has closed it
