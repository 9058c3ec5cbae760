"""What a backend says of its load. One is made with every answer, and so it is compiled."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(
    init=False
)  # frozen, or with the constructor of a dataclass, it takes three times as long
class LoadReport:
    """What a backend says of its load, in a probe's answer or with a response.

    Whoever does not say a figure has None there.
    """

    __slots__ = ("errors", "in_flight", "latency", "rate", "utilisation")

    in_flight: int | None
    """Requests that it holds."""
    latency: float | None
    """Seconds it takes for one request at present."""
    utilisation: float | None
    """Of what it can do, from 0; above 1 it does not keep up."""
    rate: float | None
    """Requests per second that it answers."""
    errors: float | None
    """Of those, answers that are errors, per second."""

    def __init__(
        self,
        in_flight: int | None,
        latency: float | None,
        utilisation: float | None = None,
        rate: float | None = None,
        errors: float | None = None,
    ) -> None:
        self.in_flight = in_flight
        self.latency = latency
        self.utilisation = utilisation
        self.rate = rate
        self.errors = errors
