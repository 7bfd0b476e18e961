"""What the tests of deployment share: programs that may be missing, stand-ins for an engine."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.tools import find
from tests.running import free_port

Need = Callable[[str], str]


@pytest.fixture(scope="session")
def need() -> Need:
    "The path of a program; the test is skipped without it, or fails where it was to be had."

    def path(program: str) -> str:
        found = find(program)
        if found is None and os.environ.get("IRIS_REQUIRE_TOOLS"):
            pytest.fail(f"there is no {program} here")
        return found or pytest.skip(f"there is no {program} here")

    return path


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def deploy() -> Path:
    return Path(__file__).parents[2] / "deploy"
