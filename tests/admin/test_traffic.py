from random import Random

from lb.admin.traffic import traffic
from lb.balancing import Balancer, Settings, Setup
from lb.measures import Report, Requests


def report(requests: Requests) -> Report:
    balancer = Balancer(Setup((Settings("a:1"),), "round_robin"), Random(1), 0.0)
    return Report(
        "pure",
        balancer.snapshot(0.0),
        client=requests.client,
        good=requests.good,
        ends=requests.ends,
    )


def test_latency_is_of_good_answers_and_every_end_is_counted() -> None:
    requests = Requests()
    requests.whole("a:1").setdefault(200, []).extend([0.25, 0.25, 1.0])
    requests.served("", 503, "no_backend", 0.0)
    told = traffic(report(requests))
    assert sum(told["latency"].values()) == 3
    assert told["outcomes"] == {"ok": 3, "no_backend": 1}
    assert told["attempts"] == {"a:1": {"count": 3, "seconds": 1.5}}


def test_buckets_come_in_the_order_of_their_durations() -> None:
    requests = Requests()
    requests.whole("a:1").setdefault(200, []).extend([1.0, 0.001, 0.03])
    assert [*traffic(report(requests))["latency"]] == sorted(
        traffic(report(requests))["latency"], key=int
    )
