"""The models section of the page shows every bundle with its role."""

from iris_nb.bundle import list_models
from iris_nb.dashboard.models import _models_table


def test_every_version_is_in_the_table(bundles):
    found = list_models(bundles)
    table = _models_table(found)
    assert len(found) == 2
    assert all(card.folder in table and role in table for card, role in found)
