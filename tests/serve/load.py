"""Callers that never stop asking, and what the log says afterwards."""

import os
import sqlite3
import threading
from pathlib import Path

import httpx

from iris_nb.table import SCHEMA

LONG = bool(os.environ.get("IRIS_LONG_TESTS"))  # under `make test-long`: a minute of replacements, forty kills


class Load(threading.Thread):
    "Callers that ask again and again, and remember their answers."

    def __init__(self, url: str, callers: int = 8, path: str = "/predict", body: object = SCHEMA.example) -> None:
        super().__init__()
        self.url, self.callers, self.path, self.body = url, callers, path, body
        self.ids: list[str] = []
        self.statuses: list[int] = []
        self.answers: list[dict] = []
        self.retry_after: list[str] = []
        self.enough = threading.Event()

    def run(self) -> None:
        threads = [threading.Thread(target=self._ask) for _ in range(self.callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=20) as client:
            while not self.enough.is_set():
                try:
                    answer = client.post(self.path, json=self.body)
                except httpx.TransportError:
                    return
                self.statuses.append(answer.status_code)
                if answer.status_code == 200:
                    self.answers.append(answer.json())
                    self.ids += ids_in(self.answers[-1])
                elif wait := answer.headers.get("retry-after"):
                    self.retry_after.append(wait)

    def answered(self, count: int) -> bool:
        return len(self.ids) >= count

    def stop(self) -> None:
        self.enough.set()
        self.join()


def ids_in(answer: dict) -> list[str]:
    "The keys of the rows in an answer, in whichever protocol."
    tensors = {tensor["name"]: tensor["data"] for tensor in answer.get("outputs", [])}
    return answer["prediction_ids"] if "prediction_ids" in answer else tensors["prediction_id"]


def logged(home: Path) -> list[str]:
    "Every id in the log, with SQLite's word that nothing is amiss."
    connection = sqlite3.connect(home / "audit.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [key for (key,) in connection.execute("SELECT id FROM predictions")]
    finally:
        connection.close()
