"""Sentences and tables at every width: nothing is lost, and nothing is wider than it must be."""

from __future__ import annotations

import re
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lb.terminal import GAP, Terminal, counted, lay_out, listed, plain, wrapped

WORDS = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=30)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    columns = draw(st.integers(1, 8))
    row = st.lists(WORDS, min_size=columns, max_size=columns)
    return draw(row), draw(st.lists(row, min_size=1, max_size=6))


@given(tables(), st.integers(1, 160))
def test_no_cell_of_a_table_is_lost_or_cut(
    table: tuple[list[str], list[list[str]]], width: int
) -> None:
    header, rows = table
    lines = lay_out(header, rows, width)
    text = "\n".join(lines)
    cells = [*header[1:], *(cell for row in rows for cell in row)]
    for cell in cells:
        assert cell in text
    widest = max(cell_len(cell) for cell in (*cells, header[0]))
    assert max(map(cell_len, lines)) <= max(width, widest + 3 * len(GAP))


@given(tables())
def test_a_table_that_fits_has_a_line_for_each_row(
    table: tuple[list[str], list[list[str]]],
) -> None:
    header, rows = table
    head, rule, *body = lay_out(header, rows, 10_000)
    assert head.split() == header
    assert set(rule.strip()) == {"─"}
    assert [line.split() for line in body] == rows
    assert len({cell_len(line) for line in (head, rule, *body)}) == 1 or len(header) == 1


HEADER = ["algorithm", "mean", "p50", "p99"]
ROWS = [["round_robin", "10.1", "9.0", "40.25"], ["random", "20", "9", "100"]]


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (
            40,
            """\
  algorithm    mean  p50    p99
  ─────────────────────────────
  round_robin  10.1  9.0  40.25
  random         20    9    100""",
        ),
        (
            25,
            """\
  algorithm    mean  p50
  ──────────────────────
  round_robin  10.1  9.0
  random         20    9

  algorithm      p99
  ──────────────────
  round_robin  40.25
  random         100""",
        ),
        (
            18,
            """\
  round_robin
    mean   10.1
    p50     9.0
    p99   40.25
  random
    mean     20
    p50       9
    p99     100""",
        ),
        (
            10,
            """\
  round_robin
    mean
      10.1
    p50
      9.0
    p99
      40.25
  random
    mean
      20
    p50
      9
    p99
      100""",
        ),
    ],
)
def test_a_table_takes_the_room_there_is(width: int, text: str) -> None:
    assert "\n".join(lay_out(HEADER, ROWS, width)) == text


def test_wide_letters_take_two_columns() -> None:
    lines = lay_out(["名前", "p50"], [["東京", "1"], ["x", "22"]], 40)
    assert len({cell_len(line) for line in lines}) == 1


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert lay_out(["a", "b"], [["\x1b[31mred", "1\n2"]], 40)[-1] == r"  \x1b[31mred  1\n2"


def printed(text: str, width: int | None = None) -> str:
    stream = StringIO()
    Terminal(stream=stream, width=width).say(text)
    return stream.getvalue()


@given(st.lists(WORDS, min_size=1).map(" ".join), st.integers(1, 100))
def test_sentences_are_broken_between_words(sentence: str, width: int) -> None:
    lines = wrapped(sentence, width, len(GAP))
    assert " ".join(line.strip() for line in lines) == sentence
    longest = max(len(word) for word in sentence.split())
    assert max(map(len, lines)) <= max(width, longest + len(GAP))


def test_where_there_is_no_terminal_a_sentence_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert printed("word " * 50) == ("word " * 50).strip() + "\n"
    assert printed("word " * 5, width=20) == "word word word word\n  word\n"


def test_tables_are_as_wide_as_columns_says_and_else_as_is_usual(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert Terminal(stream=StringIO()).width == 80
    monkeypatch.setenv("COLUMNS", "60")
    assert Terminal(stream=StringIO()).width == 60


def test_a_paragraph_that_fits_keeps_its_lines_and_another_its_words() -> None:
    written = "one two\n    three four five\n"
    for width, shown in ((19, written), (18, "one two three four\nfive\n")):
        stream = StringIO()
        Terminal(stream=stream, width=width).paragraph(written)
        assert stream.getvalue() == shown + "\n"


def test_a_quiet_terminal_says_nothing() -> None:
    stream = StringIO()
    terminal = Terminal(stream=stream, width=80, quiet=True)
    terminal.say("something")
    terminal.table("title", HEADER, ROWS)
    terminal.listing([("name", "text")])
    assert stream.getvalue() == ""


def test_rows_and_columns_change_places_when_that_is_shorter() -> None:
    stream = StringIO()
    names = [f"backend-{i}.example.org:80" for i in range(6)]
    row = ["random", *["16.7% / 50.0%"] * 6]
    Terminal(stream=stream, width=60).table("", ["algorithm", *names], [row], either_way=True)
    lines = [line for line in stream.getvalue().splitlines() if line]
    assert lines[0].split() == ["algorithm", "random"]
    assert [line.split()[0] for line in lines[2:]] == names
    assert re.fullmatch(r"  \S+ +16\.7% / 50\.0%", lines[2])


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, "a     one two three four five\nlong  six\n"),
        (24, "a     one two three four\n      five\nlong  six\n"),
        (11, "a\n  one two\n  three\n  four five\nlong\n  six\n"),
    ],
)
def test_a_listing_takes_the_room_there_is(width: int, text: str) -> None:
    stream = StringIO()
    entries = [("a", "one two three four five"), ("long", "six")]
    Terminal(stream=stream, width=width).listing(entries)
    assert stream.getvalue() == text


def test_a_terminal_of_letters_only_gets_letters() -> None:
    raw = BytesIO()
    terminal = Terminal(stream=TextIOWrapper(raw, encoding="ascii"), width=80)
    terminal.say("10 ± 1 ms, Köln")
    assert raw.getvalue() == b"10 +- 1 ms, K\\xf6ln\n"


def test_what_is_counted_is_one_or_many() -> None:
    assert counted("1", "request") == "1 request"
    assert [counted(n, "backend") for n in ("0", "2", "1.5")] == [
        *("0 backends", "2 backends", "1.5 backends")
    ]


def test_a_long_list_says_how_many_it_leaves_out() -> None:
    assert listed("abc", 3) == "a, b, c"
    assert listed("abcde", 2, "; ") == "a; b and 3 more"
    assert listed([], 2) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12350"), (0.0000123, "0.0000123"), (0.5, "0.5"), (3.14159, "3.142"), (0.0, "0")],
)
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    assert plain(value) == text
    assert plain(3600.0, 3) == "3600"
