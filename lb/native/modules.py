"""What is compiled: the rooms through which every request goes, live or simulated."""

from __future__ import annotations

ROOMS: dict[str, tuple[str, ...]] = {
    "lb/balancing": (
        "backend",
        "balancer",
        "lease",
        "limits",
        "pool",
        "shedding",
        "spill",
        "tiers",
    ),
    "lb/proxy": ("dispatcher", "waits"),
    "lb/proxy/exchange": (
        "account",
        "acts",
        "attempt",
        "caller",
        "client",
        "exchange",
        "failing",
        "pace",
        "racing",
        "taking",
        "transitions",
        "trial",
        "turns",
    ),
    "lb/proxy/http": (
        "first_line",
        "framing",
        "hop",
        "message",
        "request",
        "response",
        "rules",
        "scanner",
        "tracing",
    ),
    "lb/proxy/logs": ("access", "lines", "objects", "teller"),
    "lb/proxy/tls": ("layer",),
    "lb/proxy/upstream": ("connection", "pool"),
    "lb/recording": ("logged", "writer"),
    "lb/strategies": (
        "candidate",
        "consistent_hash",
        "ip_hash",
        "join_idle_queue",
        "least_connections",
        "least_reported",
        "least_response_time",
        "maglev",
        "p2c",
        "peak_ewma",
        "prequal",
        "random",
        "rendezvous",
        "report",
        "round_robin",
        "sticky",
        "weighted_feedback",
        "weighted_random",
        "weighted_round_robin",
    ),
    "lb/strategies/parts": (
        "avoiding",
        "deadlines",
        "earliest_deadline",
        "estimates",
        "foreign",
        "heedless",
        "ketama",
        "keyed",
        "least_loaded",
        "ring",
        "sampling",
        "tournament",
        "turns",
    ),
    "sim/engine": (
        "alarms",
        "express",
        "journal",
        "nonstop",
        "request",
        "site",
        "staged",
        "struck",
        "tally",
        "turnoffs",
    ),
    "sim/model": (
        "faults",
        "gauge",
        "measures",
        "reneging",
        "separate",
        "slowing",
        "speed",
        "stations",
    ),
}
"""Modules by room, for mypyc. Those of one build call each other directly."""

EXTENSIONS: dict[str, str] = {"lb.proxy.http._scan": "lb/proxy/http/_scan.c"}
"""Modules written in C, with their source."""


def sources() -> list[str]:
    """What mypyc compiles, from the root of the project."""
    return [f"{room}/{name}.py" for room, names in ROOMS.items() for name in names]
