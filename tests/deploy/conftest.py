"""What the tests of deployment share: programs that may be missing, stand-ins for an engine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tools
from tests.running import free_port

Need = Callable[[str], str]


@pytest.fixture(scope="session")
def need() -> Need:
    "Returns the path of a program; skips the test without it, or fails it where the program was to be had."
    return tools.need


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def deploy() -> Path:
    return Path(__file__).parents[2] / "deploy"
