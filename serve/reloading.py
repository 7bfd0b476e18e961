"""Which model answers: the champion's pointer is watched, and a new one takes over between two groups."""

import logging
from pathlib import Path

from iris_nb.bundle import BundleError, champion, roll_back
from iris_nb.predict.predictor import Predictor
from serve.batching import Engine
from serve.errors import without_places

log = logging.getLogger("serve")


class Champion:
    "Keeps the engine's model the one that the pointer names; a bundle that can't be trusted changes nothing."

    def __init__(self, root: Path, engine: Engine) -> None:
        self.root, self.engine = root, engine
        self.folder: Path | None = None
        self.fault = ""  # why the newest champion does not answer

    def load(self) -> None:
        "Look at the pointer and load what it names, if that is new; raises BundleError where it is refused."
        try:
            folder = champion(self.root)
            if folder is not None and folder != self.folder:
                self.engine.model = Predictor.load(folder)
                self.folder = folder
                log.info("a champion took over", extra={"bundle": folder.name})
            self.fault = ""
        except (BundleError, OSError, ValueError) as error:
            self.fault = without_places(error)
            if self.engine.model is None:
                self.engine.no_model = self.fault
            raise BundleError(str(error)) from error

    def check(self) -> None:
        "Like `load`, but what is refused is only noted, once."
        before = self.fault
        try:
            self.load()
        except BundleError as error:
            if self.fault != before:
                log.error("the champion is refused", extra={"fault": str(error)})

    def roll_back(self) -> None:
        "Make the champion before this one answer again; raises BundleError where there is none."
        roll_back(self.root)
        self.load()
