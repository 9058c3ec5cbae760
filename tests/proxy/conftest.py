"""Both event loops, and both scanners. Whatever escapes into the loop fails the test."""

from __future__ import annotations

from typing import Any

import pytest

from lb.proxy.http.scanner import Reference
from tests.fuzz import native
from tests.loops import FACTORIES, Run, runner

LIMIT = 10.0
"""Seconds that no test of the proxy may take."""


@pytest.fixture(params=list(FACTORIES))
def run(request: pytest.FixtureRequest) -> Run:
    return runner(request.param, LIMIT)


@pytest.fixture(scope="session")
def native_scanner(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The scanner in C, made from the source that is here."""
    library = native.compiled(tmp_path_factory.mktemp("scan"))
    if library is None:
        pytest.skip("there is no C compiler, or Python's headers are missing")
    return native.loaded(library)


@pytest.fixture(params=["python", "c"])
def scanner_kind(request: pytest.FixtureRequest) -> Any:
    return Reference if request.param == "python" else request.getfixturevalue("native_scanner")
