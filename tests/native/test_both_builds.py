"""Both builds simulate the same, bit for bit: what holds of figures in one holds in the other.

This is why tests that only read long simulations are run on one of them (`once`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import lb
from lb.native.running import PURE, ROOT
from tests.native.digests import digest, digests


@pytest.mark.skipif(not lb.BUILD.compiled, reason="there is one build only")
def test_every_scenario_and_every_algorithm_gives_the_same_bits() -> None:
    module = [sys.executable, "-m", "tests.native.digests"]
    environment = {**os.environ, PURE: "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(module, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        compiled = digests()
        pure = json.loads(process.stdout.read())
    assert len(compiled) > 50
    assert len({*compiled.values()}) > 0.9 * len(compiled), "they tell one from another"
    assert compiled == pure


def test_a_digest_sees_the_last_bit() -> None:
    assert digest([1.0, {"a": (2,)}]) == digest((1.0, {"a": [2]}))
    assert digest([1.0]) != digest([1.0000000000000002])
