"""Backends and laws as flags give them."""

from __future__ import annotations

import pytest

from lb.config import Scenario, backend_flag, backend_flags, host_and_port, law_flag
from lb.errors import UsageError

# --- flags


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("127.0.0.1:3001", {"address": "127.0.0.1:3001"}),
        ("localhost:80*5", {"address": "localhost:80", "weight": 5}),
        (" h:1*0.5 ", {"address": "h:1", "weight": 0.5}),
        ("[::1]:8080*2", {"address": "[::1]:8080", "weight": 2}),
    ],
)
def test_a_backend_flag(flag: str, expected: dict[str, object]) -> None:
    assert backend_flag(flag) == expected


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        ("localhost", "is not host:port"),
        (":80", "is not host:port"),
        ("http://h:80", "is not host:port"),
        ("::1:80", "is not host:port"),
        ("h:65536", "port 65536"),
        ("é..x:80", "is no name of a host"),
        (f"{'é' * 64}:80", "is no name of a host"),
        ("h:80*", "weight '' is not a number above zero"),
        ("h:80*0", "weight '0' is not a number above zero"),
        ("h:80*-1", "weight '-1' is not a number above zero"),
        ("h:80*x", "weight 'x' is not a number above zero"),
    ],
)
def test_what_is_no_backend_flag(flag: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        backend_flag(flag)
    assert why in str(error.value)
    assert repr(flag) in str(error.value)


def test_flags_are_a_list_without_repetition() -> None:
    assert [row["address"] for row in backend_flags("a:1, b:2*3,c:3,")] == ["a:1", "b:2", "c:3"]
    with pytest.raises(UsageError, match="a:1 is given twice"):
        backend_flags("a:1,b:2,a:1*4")
    with pytest.raises(UsageError, match="no backends given"):
        backend_flags(" , ")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("h:80", ("h", 80)), ("[::1]:0", ("::1", 0)), ("10.0.0.1:65535", ("10.0.0.1", 65535))],
)
def test_an_address_in_its_parts(address: str, expected: tuple[str, int]) -> None:
    assert host_and_port(address) == expected


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("exponential:20ms", {"law": "exponential", "mean": 0.02}),
        ("constant:0s", {"law": "constant", "mean": 0.0}),
        ("lognormal:20ms,cv=1.5", {"law": "lognormal", "mean": 0.02, "cv": 1.5}),
        ("erlang:k=3,mean=1s", {"law": "erlang", "mean": 1.0, "k": 3}),
        ("uniform:low=1ms,high=3ms", {"law": "uniform", "low": 0.001, "high": 0.003}),
    ],
)
def test_a_law_flag(flag: str, expected: dict[str, object]) -> None:
    assert law_flag(flag).model_dump() == expected


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        ("", "unknown law"),
        ("exponental:20ms", "did you mean 'exponential'"),
        ("exponential", "missing"),
        ("exponential:20", "250ms"),
        ("lognormal:20ms", "missing"),
        ("lognormal:20ms,cv=1,meen=2", "did you mean 'mean'"),
    ],
)
def test_what_is_no_law_flag(flag: str, why: str) -> None:
    with pytest.raises(UsageError) as error:
        law_flag(flag)
    assert str(error.value).startswith(repr(flag))
    assert why in str(error.value)


# --- what strategies that hash see


@pytest.mark.parametrize(
    "key", ["client_ip", "path", "uri", "header:X-LB-Key", "cookie:session.id"]
)
def test_the_key_of_a_request(key: str) -> None:
    assert Scenario.parse(f'key = "{key}"\n').key == key


def test_without_a_word_it_is_the_address_of_the_client() -> None:
    assert Scenario.parse("").key == "client_ip"
