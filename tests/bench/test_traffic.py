"""The load of the benchmark is what it says: whole messages, new where they are to be new."""

from __future__ import annotations

import re

import pytest

from tests.bench.proxies import CASES
from tests.bench.traffic import ANSWERS, END, HEADS, TARGETS, answers, requests

HOST = "127.0.0.1:80"
SAMPLE = range(3 * HEADS)


@pytest.mark.parametrize("case", CASES.values())
def test_a_request_is_one_whole_head(case: str) -> None:
    request = requests(case, HOST)
    for number in SAMPLE:
        head = request(number)
        assert head.index(b"\r\n\r\n") == len(head) - 4
        assert re.fullmatch(rb"GET /\S* HTTP/1\.1\r\n(?:[A-Za-z0-9-]+: [^\r\n\0]+\r\n)+\r\n", head)
        assert head.lower().count(b"\r\nhost: ") == 1


def test_as_many_lines_are_new_as_the_case_says() -> None:
    for case, new in ({"small": 0, "fields": 0, "unlike": 4}).items():
        request = requests(case, HOST)
        first, second = request(1).split(b"\r\n"), request(2).split(b"\r\n")
        assert len(set(second) - set(first)) == new
        assert len(first) == (4 if case == "small" else 36)


def test_no_request_of_the_mix_comes_twice() -> None:
    request = requests("mix", HOST)
    assert len({request(number) for number in SAMPLE}) == len(SAMPLE)


def test_the_mix_is_the_same_in_every_run() -> None:
    one, other = requests("mix", HOST), requests("mix", HOST)
    assert [one(number) for number in SAMPLE] == [other(number) for number in SAMPLE]


@pytest.mark.parametrize("target", [*TARGETS.values(), b""])
def test_an_answer_is_as_long_as_it_says(target: bytes) -> None:
    answer = answers()[target]
    for number in range(2 * ANSWERS):
        head, _, body = answer(number).partition(b"\r\n\r\n")
        told = re.search(rb"\r\nContent-Length: (\d+)", head)
        assert told is not None
        assert int(told[1]) == len(body)
        assert body.endswith(END)
        assert END not in head + b"\r\n\r\n"


def test_one_line_of_the_answer_is_new_where_requests_are_unlike() -> None:
    answer = answers()[TARGETS["unlike"]]
    first, second = answer(1).split(b"\r\n"), answer(2).split(b"\r\n")
    assert len(set(second) - set(first)) == 1
