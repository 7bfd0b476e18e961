"""Hot reload: the pointer to the champion is watched, and a new model takes over between two groups."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from iris_nb.bundle import BundleError, Card, champion, roll_back
from iris_nb.predict.predictor import Predictor
from iris_nb.schema import Schema
from iris_nb.table import SCHEMA
from serve.errors import NoModel, strip_paths

log = logging.getLogger("serve")


class ModelReloader:
    "Keeps the model that the pointer names; a bundle that can't be trusted changes nothing, whatever is wrong with it."

    def __init__(
        self, root: Path, schema: Schema = SCHEMA, on_change: Callable[[Card, str], None] = lambda card, folder: None
    ) -> None:
        self.root, self._schema, self._on_change = root, schema, on_change
        self.model: Predictor | None = None
        self.fault = ""  # why the newest champion does not answer
        self._folder: Path | None = None
        self._alone = threading.Lock()

    def current(self) -> Predictor:
        "Return the model that answers; raise NoModel."
        if self.model is None:
            raise NoModel(self.why_none, retry_after=5)
        return self.model

    @property
    def folder(self) -> str:
        "The name of the folder of the model that answers; empty where there is none."
        return self._folder.name if self._folder else ""

    @property
    def why_none(self) -> str:
        "Why there is no model, where there is none."
        return self.fault or "No model was promoted yet: run `make train`, and it is picked up by itself."

    def load(self) -> None:
        "Load what the pointer names, if that is new; raise BundleError where it is refused."
        with self._alone:
            try:
                self._load()
                self.fault = ""
            except Exception as error:
                self.fault = strip_paths(_sentence(error))
                raise BundleError(self.fault) from error

    def check(self) -> None:
        "Load as `load` does; what is refused is only noted, once."
        before = self.fault
        try:
            self.load()
        except BundleError as error:
            if self.fault != before:
                log.error("the champion is refused", extra={"fault": str(error)})

    def roll_back(self) -> None:
        "Make the champion before this one answer again; raise BundleError where there is none."
        try:
            with self._alone:
                roll_back(self.root)
        except Exception as error:
            raise BundleError(strip_paths(_sentence(error))) from error
        self.load()

    def _load(self) -> None:
        folder = champion(self.root)
        if folder is not None and folder != self._folder:
            self.model, self._folder = Predictor.load(folder, self._schema), folder
            log.info("a champion took over", extra={"bundle": folder.name})
            self._on_change(self.model.card, folder.name)


def _sentence(error: Exception) -> str:
    "Return what is wrong with a bundle, whatever was raised while it was read."
    if isinstance(error, BundleError):
        return str(error)
    return f"The champion can't be read: {type(error).__name__}: {error}."
