"""A sweep on a Dask cluster in this very process."""

from __future__ import annotations

import pytest

from sim import sweep
from sim.crew import Crew
from sim.fit.cluster import ClusterFailed, cluster
from tests.sim.scenarios import EXPONENTIAL, scenario, serves

distributed = pytest.importorskip("distributed", reason="the extra `dask` is not installed")


def missing(_number: int) -> int:
    raise ModuleNotFoundError("No module named 'sim'")


@pytest.mark.filterwarnings("ignore")
def test_a_local_cluster_gives_the_same_as_this_process() -> None:
    file = scenario(serves(EXPONENTIAL), run="requests = 300\nreplications = 2")
    over = {"load": [0.3, 0.5, 0.8]}
    settings = {"n_workers": 1, "threads_per_worker": 2, "processes": False}
    local = distributed.LocalCluster(
        **settings, protocol="tcp", dashboard_address=None, worker_dashboard_address=None
    )
    with local:
        with cluster(local.scheduler_address) as executor:
            there = sweep(file, ["random", "p2c"], over, workers=executor)
        with (
            pytest.raises(ClusterFailed, match="gave up: ModuleNotFoundError: No module"),
            cluster(local.scheduler_address) as executor,
            Crew(executor) as crew,
        ):
            list(crew.each(missing, [1, 2]))
    assert there.as_dict() == sweep(file, ["random", "p2c"], over).as_dict()


def test_nobody_there_is_told_in_a_line() -> None:
    told = pytest.raises(ClusterFailed, match=r"no Dask scheduler at tcp://127\.0\.0\.1:1: ")
    with told, cluster("tcp://127.0.0.1:1"):
        pass
