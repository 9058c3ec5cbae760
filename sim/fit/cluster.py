"""A Dask cluster as an executor, for whoever has the extra `dask` installed."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from lb.errors import LbError, UsageError
from lb.system import reason

PATIENCE = 10.0
"""Seconds to reach a scheduler in."""


class ClusterFailed(LbError):
    """A cluster that cannot be reached, or that gave up."""

    code = "cluster_failed"


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The workers of the scheduler at `address`, such as `tcp://10.0.0.1:8786`.

    They need this package installed, in the same version. Raises UsageError when the extra is not
    installed here, ClusterFailed.
    """
    match = re.fullmatch(r"(?:\w+://)?(?P<host>[^/:]+|\[[^/]+\]):(?P<port>\d{1,5})", address)
    if match is None:
        raise UsageError(f"--scheduler: {address!r} is not like tcp://host:8786")
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--scheduler needs the extra: pip install 'lb-twin[dask]'") from None
    try:
        # A client that finds nobody says so for longer, and on stderr.
        place = (match["host"].strip("[]"), int(match["port"]))
        socket.create_connection(place, PATIENCE).close()
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, OverflowError) as error:
        raise ClusterFailed(f"no Dask scheduler at {address}: {_line(error)}") from None
    try:
        with client:
            executor: Executor = client.get_executor()
            yield executor
    except LbError:
        raise
    except Exception as error:  # of workers that die, or have another version or nothing of this
        raise ClusterFailed(f"the Dask cluster at {address} gave up: {_line(error)}") from None


def _line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return reason(error)
    return f"{type(error).__name__}: {error}".splitlines()[0]
