"""What a backend says of its load."""

from lb.strategies import LoadReport


def test_reports_of_the_same_figures_are_equal() -> None:
    said = LoadReport(3, 0.02, utilisation=0.5, rate=40.0, errors=1.0)
    assert said == LoadReport(3, 0.02, 0.5, 40.0, 1.0)
    assert said != LoadReport(3, 0.02, 0.5, 40.0)
    assert said != (3, 0.02, 0.5, 40.0, 1.0)


def test_a_report_shows_its_figures() -> None:
    assert repr(LoadReport(3, 0.02)) == (
        "<LoadReport 3 in flight, latency 0.02, utilisation None, rate None, errors None>"
    )
