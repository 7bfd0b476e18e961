"""What `iris-nb dashboard` tells Voila in voila.json."""

import json
from pathlib import Path

from voila.execute import VoilaExecutor

ROOT = Path(__file__).parents[2]


def test_a_cell_of_the_dashboard_has_a_limit_and_every_option_of_its_executor_exists():
    said = json.loads((ROOT / "nbs/dashboard/voila.json").read_text())["VoilaExecutor"]
    assert said["timeout"] > 0
    assert set(said) <= set(VoilaExecutor.class_trait_names(config=True))
