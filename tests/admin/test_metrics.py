"""Prometheus text."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterable

import pytest

from lb.admin.exposition import Family, text
from lb.admin.metrics import FAMILIES
from lb.admin.reloads import Reloads
from lb.balancing import Add, Remove, Settings, perform
from lb.measures import Events, Report, endpoints
from tests.admin.house import FILE, Held, plane, run
from tests.doubles import Request

HARD = FILE.replace('name = "a"', r'name = "a \"b\\c\" é"')


def filled(held: Held) -> Held:
    held.measured.served("a", 200, "ok", 0.00390625)
    held.measured.served("a", 200, "ok", 0.1875)
    held.measured.served("", 503, "no_backend", 0.001)
    held.measured.tried("a", 0, "connect", 30.0)
    return held


def told(report: Report, more: Iterable[Family] = ()) -> str:
    return asyncio.run(text(report, (*FAMILIES, *more))).decode()


def report(held: Held) -> Report:
    return asyncio.run(held.report())


def test_figures_are_where_they_belong() -> None:
    lines = told(report(filled(Held()))).splitlines()
    ours = 'backend="a",http_response_status_code="200",outcome="ok"'
    for line in (
        f'http_server_request_duration_seconds_bucket{{{ours},le="0.005"}} 1',
        f'http_server_request_duration_seconds_bucket{{{ours},le="0.1"}} 1',
        f'http_server_request_duration_seconds_bucket{{{ours},le="0.25"}} 2',
        f'http_server_request_duration_seconds_bucket{{{ours},le="+Inf"}} 2',
        f"http_server_request_duration_seconds_sum{{{ours}}} 0.19140625",
        f"http_server_request_duration_seconds_count{{{ours}}} 2",
        (
            'http_server_request_duration_seconds_count{backend="",http_response_status_code="503",'
            'outcome="no_backend"} 1'
        ),
        (
            'http_client_request_duration_seconds_bucket{backend="a",http_response_status_code="",'
            'outcome="connect",le="10.0"} 0'
        ),
        'http_client_open_connections{backend="a",http_connection_state="active"} 1',
        'http_client_open_connections{backend="a",http_connection_state="idle"} 4',
        "lb_event_loop_lag_seconds 0.004",
        "lb_open_descriptors 22",
        "lb_workers 2",
        'lb_backend_up{backend="a"} 1',
        'lb_backend_weight{backend="127.0.0.1:3002"} 2',
        'lb_refused_total{reason="bad_request"} 2',
        'lb_connections_refused_total{reason="plain_http"} 3',
        'lb_dropped_total{kind="access_log"} 6',
        'lb_certificate_expiry_timestamp_seconds{certificate="/etc/lb.pem"} 2000000000',
        "lb_retries_total 0",
        "lb_hedges_total 0",
        'lb_ejections_total{backend="a"} 0',
        "lb_waiting 0",
        "lb_retry_budget 100",
    ):
        assert line in lines


def counted(held: Held, family: str) -> dict[str, float]:
    """By the labels."""
    rows = [line.rsplit(" ", 1) for line in told(report(held)).splitlines()]
    return {key[len(family) :]: float(value) for key, value in rows if key.startswith(family + "{")}


def test_counters_of_a_backend_that_has_left_go_on() -> None:
    held = Held()
    first = held.balancer.pool.backends[0]
    first.ejections = 2
    first.health.checks, first.health.failed, first.health.went_down = 5, 1, 1
    leases = [held.balancer.admit(Request(), 0.0) for _ in range(6)]
    for lease in leases[:3]:
        assert lease is not None
        lease.done(1.0)
    ours = '{backend="a",outcome="succeeded"}'
    attempts = counted(held, "lb_attempts_total")
    assert attempts[ours] == 1
    perform(held.balancer, Remove("a"), 1.0)
    assert counted(held, "lb_attempts_total") == attempts
    perform(held.balancer, Add(Settings("127.0.0.1:3009", name="a")), 1.0)
    assert counted(held, "lb_attempts_total") == attempts
    for lease in leases[3:]:
        assert lease is not None
        lease.done(1.0)
    assert counted(held, "lb_attempts_total")[ours] == 2
    for family, count in (("lb_ejections_total", 2), ("lb_backend_downs_total", 1)):
        assert counted(held, family)['{backend="a"}'] == count
    checks = counted(held, "lb_health_checks_total")
    assert checks['{backend="a",outcome="ok"}'] == 4
    assert checks['{backend="a",outcome="failed"}'] == 1
    for number in range(300):
        perform(held.balancer, Add(Settings("127.0.0.1:4000", name=f"n{number}")), 1.0)
        perform(held.balancer, Remove(f"n{number}"), 1.0)
    later = counted(held, "lb_attempts_total")
    assert sum(later.values()) == 6
    assert len(later) < 4 * 110
    stats = endpoints.stats(report(held))[1]
    picked = sum(row["picked"] for row in (*stats["backends"], stats["departed"]))
    assert picked == stats["requests"] == 6


def test_every_metric_is_explained_once() -> None:
    lines = told(report(filled(Held()))).splitlines()
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert names == [line.split()[2] for line in lines if line.startswith("# HELP")]
    assert names == [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for line in lines:
        if not line.startswith("#"):
            assert re.match(r"[a-z_]+(\{.*\})? [-+0-9.e]+(Inf|NaN)?$", line), line


def test_labels_are_escaped() -> None:
    assert r'lb_backend_up{backend="a \"b\\c\" é"} 1' in told(report(Held(HARD)))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say() -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=told(report(filled(Held(HARD))), Reloads(Events()).families()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_thousand_backends_let_others_have_their_turn() -> None:
    rows = "".join(f'[[backend]]\naddress = "127.0.0.1:{port}"\n' for port in range(4000, 5000))
    whole = report(Held("[health]\nenabled = false\n" + rows))

    async def turns() -> tuple[int, int]:
        count, done = 0, False

        async def other() -> None:
            nonlocal count
            while not done:
                count += 1
                await asyncio.sleep(0)

        beside = asyncio.ensure_future(other())
        lines = (await text(whole, FAMILIES)).count(b"\n")
        done = True
        await beside
        return count, lines

    count, lines = asyncio.run(turns())
    assert lines > 10_000
    assert count >= lines // 500


def test_it_is_served_as_prometheus_asks() -> None:
    async def test() -> None:
        async with plane() as lb:
            answer = await lb.ask("GET", "/metrics")
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert answer.text.endswith("\n")
            assert "lb_config_last_reload_successful 1\n" in answer.text
            assert "\nlb_config_last_reload_success_timestamp_seconds" not in answer.text
            lb.held.events.happened(1e9, "info", "reloaded", {})
            lb.held.events.happened(2e9, "error", "not reloaded", {"reason": "x"})
            answer = await lb.ask("GET", "/metrics")
            assert "lb_config_last_reload_successful 0\n" in answer.text
            assert "lb_config_last_reload_success_timestamp_seconds 1000000000\n" in answer.text

    run(test())
