"""Scenarios as files, short enough to stand in a test."""

from __future__ import annotations

from collections.abc import Sequence

from lb.config import Scenario

EXPONENTIAL = '{ law = "exponential", mean = "1s" }'
CONSTANT = '{ law = "deterministic", mean = "1s" }'


def scenario(
    *models: str,
    rate: float = 0.8,
    process: str = "poisson",
    traffic: str = "",
    run: str = "requests = 1000\nreplications = 1",
    backend: Sequence[str] = (),
    more: str = "",
    warmup: str = "0s",
) -> Scenario:
    """One backend for each of `models`, which hold lines of its [backend.model].

    `backend` holds more lines for each [[backend]], `more` whole tables. The seed is fixed.
    """
    # Seconds stand for milliseconds here, and nobody is to be timed out unless that is the matter.
    patient = "" if "[timeouts]" in more else '[timeouts]\nresponse = "24h"'
    lines = [more, "[traffic]", f'arrivals = {{ process = "{process}", rate = {rate} }}', traffic]
    lines += ["[run]", f'warmup = "{warmup}"', "seed = 20261123", run]
    for i, model in enumerate(models):
        extra = backend[i] if i < len(backend) else ""
        lines += ["[[backend]]", f'address = "b:{i}"', extra, "[backend.model]", model]
    return Scenario.parse("\n".join([*lines, patient]))


def serves(law: str, **settings: object) -> str:
    """The lines of one [backend.model]."""
    rows = [f"service = {law}"]
    rows += [f"{key} = {value!r}".replace("'", '"') for key, value in settings.items()]
    return "\n".join(rows)
