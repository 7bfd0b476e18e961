"""One home in which a training has been, and what that training selected."""

import pytest

from iris_nb.bundle import champion, read_bundle
from iris_nb.train.tracking import connect


@pytest.fixture(scope="module")
def home(copy_trained, tmp_path_factory):
    "A copy of the trained home, for one module to change."
    return copy_trained(tmp_path_factory.mktemp("pipeline") / "home")


@pytest.fixture
def tracker(home):
    return connect(home)


@pytest.fixture(scope="module")
def best(trained_home):
    "The candidate that the first training selected: which one it is depends on the table."
    return read_bundle(champion(trained_home / "bundles")).card.parameters["candidate"]
