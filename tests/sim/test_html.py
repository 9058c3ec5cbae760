"""The report's page: whole in itself, well-formed, the same every time, whatever the result."""

import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from lb.strategies import REGISTRY
from sim import Result, Scenario, simulate
from sim.output.html import HOW_TO_READ, document, report, table, write_page
from sim.output.plots.figures import FIGURES, telling
from sim.output.plots.vector import inline

EXPONENTIAL = '{ law = "exponential", mean = "10ms" }'
VOID = {"meta", "br"}


def scenario(
    backends: int = 3, more: str = "", run: str = "", service: str = EXPONENTIAL
) -> Scenario:
    rows = "".join(
        f'[[backend]]\naddress = "127.0.0.1:{3001 + i}"\n[backend.model]\nservice = {service}\n'
        for i in range(backends)
    )
    return Scenario.parse(
        f'[traffic]\narrivals = {{ process = "poisson", rate = {60 * backends} }}\n'
        'keys = { law = "zipf", count = 100, s = 1.1 }\n'
        f"[run]\n{run or 'requests = 600'}\nreplications = 3\n{more}\n{rows}"
    )


FAULT = (
    '[[fault]]\nbackend = "127.0.0.1:3001"\nkind = "errors"\nrate = 0.5\n'
    'from = "1s"\nto = "3s"\n[expect]\np99 = "1s"\n'
)


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate(scenario(more=FAULT), ["random", "p2c"])


class Reader(HTMLParser):
    """Elements, their attributes and text; an end without its beginning fails."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append((self.open[-1] if self.open else "", data))

    def inside(self, tag: str) -> list[str]:
        return [text.strip() for where, text in self.text if where == tag and text.strip()]

    def attributes(self, name: str) -> list[str]:
        return [str(found[name]) for _, found in self.found if name in found]


def test_a_page_needs_nothing_but_itself(result: Result) -> None:
    page = report(result)
    reader = Reader(page)
    told = re.sub(r"data:image/png;base64,[\s\w+/=]*", "", page)
    assert not re.search(r"https?:|//[a-z]|@import|<script|<link|<iframe| on[a-z]+=", told)
    assert reader.attributes("src") == []
    ids = reader.attributes("id")
    assert max(Counter(ids).values()) == 1
    pointed = [href for href in reader.attributes("href") if not href.startswith("data:image/png;")]
    pointed += re.findall(r"url\(([^)]*)\)", page)
    assert pointed
    assert {place.removeprefix("#") for place in pointed} <= set(ids)


def test_it_shows_every_picture_that_says_something_with_how_to_read_it(result: Result) -> None:
    reader = Reader(report(result))
    drawn = [found["aria-label"] for tag, found in reader.found if tag == "svg"]
    assert drawn == [FIGURES[name](result).axes[0].get_title(loc="left") for name in FIGURES]
    assert reader.inside("figcaption") == [HOW_TO_READ[name] for name in telling(result)]
    assert HOW_TO_READ.keys() == FIGURES.keys()
    assert "p99.9" in reader.inside("text"), "text is text"


def test_it_tells_what_came_out_and_how_it_was_made(result: Result) -> None:
    reader = Reader(report(result, "the file\n", "lb simulate -a random"))
    assert reader.inside("h1") == ["Simulation of random, p2c"]
    assert [text for text in reader.inside("h2") if text != "Pictures"] == [
        "Latency",
        "Who is better",
        "Failures and further attempts",
        "Backends",
        "Objectives",
        "How it was made",
    ]
    assert reader.inside("code") == ["lb simulate -a random", "the file"]
    names = reader.inside("th")
    for name in ("seed", "lb", "Python", "numpy", "simpy", "matplotlib", "random: p99"):
        assert name in names
    assert "server_error" in names, "why requests failed"
    first = result.runs[0].backends[0]
    assert f"{first.share:.1%}" in reader.inside("td")


def test_the_same_result_gives_the_same_bytes_and_no_date(result: Result, tmp_path: Path) -> None:
    again = simulate(result.scenario, ["random", "p2c"])
    assert report(result, "x", "y") == report(again, "x", "y")
    assert not re.search(r"20\d\d-\d\d-\d\d", report(result))
    write_page("<é>\n", [tmp_path / "made" / "a.html", tmp_path / "b.html"])
    assert (tmp_path / "made" / "a.html").read_bytes() == "<é>\n".encode()
    assert (tmp_path / "b.html").exists()


def test_it_repeats_in_another_process() -> None:
    script = (
        "from sim import Scenario, simulate\nfrom sim.output.html import report\n"
        "import hashlib\nfrom tests.sim.test_html import scenario\n"
        "page = report(simulate(scenario(), ['random', 'p2c']))\n"
        "print(hashlib.sha256(page.encode()).hexdigest())"
    )
    seen = {
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout
        for _ in range(2)
    }
    assert len(seen) == 1


def test_text_from_outside_is_escaped() -> None:
    evil = '<script>alert("&")</script>'
    odd = Scenario.parse(
        '[traffic]\narrivals = { process = "poisson", rate = 30 }\n[run]\nrequests = 400\n'
        '[[backend]]\nname = "<b>&amp;\\"x"\naddress = "a:1"\n'
        'model = { service = { law = "exponential", mean = "10ms" } }\n'
        '[[backend]]\nname = "$\\\\frac{1$ _"\naddress = "a:2"\n'
        'model = { service = { law = "exponential", mean = "10ms" } }\n'
    )
    page = report(simulate(odd, ["random"]), evil, evil)
    reader = Reader(page)
    assert "script" not in {tag for tag, _ in reader.found}
    assert "b" not in {tag for tag, _ in reader.found}
    assert reader.inside("code") == [evil, evil]
    assert '<b>&amp;"x' in reader.inside("td")
    assert '<b>&amp;"x' in reader.inside("text")
    assert "$\\frac{1$ _" in reader.inside("text"), "a name is no formula"
    assert Reader(document(evil, [table([evil], [[evil, evil]], evil)])).inside("h1") == [evil]


ODD = {
    "nothing succeeds": scenario(
        more='[timeouts]\nresponse = "1ms"', service=EXPONENTIAL.replace("10ms", "9s")
    ),
    "one request": scenario(run="requests = 1"),
    "one backend": scenario(backends=1),
    "a few requests": scenario(run="requests = 20"),
    "no time at all": scenario(service='{ law = "constant", mean = "0s" }'),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("algorithms", [["random"], ["random", "p2c"]], ids=len)
def test_odd_results_make_a_page_too(case: str, algorithms: list[str]) -> None:
    reader = Reader(report(simulate(ODD[case], algorithms)))
    assert "nan" not in " ".join(reader.inside("td"))
    assert len([tag for tag, _ in reader.found if tag == "svg"]) >= 3


def test_stations_behind_the_backends_have_a_table() -> None:
    file = Scenario(
        backends=[
            {"address": f"a:{i}", "model": {"service": "exponential:10ms", "then": "database"}}
            for i in (1, 2)
        ],
        shared=[{"name": "database", "service": "exponential:2ms"}],
        traffic={"arrivals": {"process": "poisson", "rate": 60.0}},
        run={"requests": 400, "replications": 2},
    )
    result = simulate(file, "random")
    reader = Reader(report(result))
    (use,) = result.runs[0].shared
    assert "Shared stations and the balancer's own work" in reader.inside("h2")
    assert f"{use.utilisation:.1%}" in reader.inside("td")


def test_sixteen_algorithms_and_hundreds_of_backends_stay_within_two_megabytes() -> None:
    many = scenario(backends=300, run="requests = 3000")
    page = report(simulate(many, list(REGISTRY)))
    assert len(page.encode()) < 2_000_000
    assert "300 backends, each figure by itself" in page


def test_a_page_is_read_at_any_width_and_in_the_dark() -> None:
    page = document("x", [])
    assert "width=device-width" in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert "overflow-x: auto" in page


def test_two_pictures_share_no_id() -> None:
    def figure() -> Figure:
        made = Figure()
        made.subplots().plot([1, 2])
        return made

    one, other = (inline(figure(), name) for name in ("one", "other"))
    ids = re.findall(r' id="([^"]*)"', one)
    assert ids
    assert all(name.startswith("one-") for name in ids)
    assert set(ids).isdisjoint(re.findall(r' id="([^"]*)"', other))
    assert one == inline(figure(), "one")
