"""What a backend says of its load. One is made with every answer, and so it is compiled."""

from __future__ import annotations


class LoadReport:
    """What a backend says of its load, in a probe's answer or with a response.

    Whoever does not say a figure has None there.
    """

    __slots__ = ("errors", "in_flight", "latency", "rate", "utilisation")

    def __init__(
        self,
        in_flight: int | None,
        latency: float | None,
        utilisation: float | None = None,
        rate: float | None = None,
        errors: float | None = None,
    ) -> None:
        self.in_flight = in_flight
        """Requests that it holds."""
        self.latency = latency
        """Seconds it takes for one request at present."""
        self.utilisation = utilisation
        """Of what it can do, from 0; above 1 it does not keep up."""
        self.rate = rate
        """Requests per second that it answers."""
        self.errors = errors
        """Of those, answers that are errors, per second."""

    def __repr__(self) -> str:
        return (
            f"<LoadReport {self.in_flight} in flight, latency {self.latency}, utilisation "
            f"{self.utilisation}, rate {self.rate}, errors {self.errors}>"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoadReport) and self._figures == other._figures

    @property
    def _figures(self) -> tuple[float | None, ...]:
        return self.in_flight, self.latency, self.utilisation, self.rate, self.errors
