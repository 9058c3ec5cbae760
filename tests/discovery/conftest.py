"""Name servers, and both event loops. Whatever escapes into the loop fails the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.discovery.nameserver import NameServer
from tests.loops import FACTORIES, Run, runner

LIMIT = 60.0
"""Seconds that no test here may take."""


@pytest.fixture(params=list(FACTORIES))
def run(request: pytest.FixtureRequest) -> Run:
    return runner(request.param, LIMIT)


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as it:
        yield it
