from lb.markdown import table


def test_columns_behind_the_first_ones_are_set_to_the_right() -> None:
    assert table(("a", "b", "c"), [("x", "1", "2")], left=1) == (
        "| a | b | c |\n| --- | ---: | ---: |\n| x | 1 | 2 |\n"
    )


def test_no_cell_breaks_its_row() -> None:
    assert table(("a",), [("p50 | p99\nof it",)]).splitlines()[2] == r"| p50 \| p99 of it |"
