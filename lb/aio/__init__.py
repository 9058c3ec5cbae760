"""The balancer inside an application that is written with aiohttp.

`balance` is a client middleware for an application's own calls; `proxy_application` makes a route
of an existing service a balanced proxy. Both are drivers of the same `Balancer` as `lb serve`, with
the same strategies, health checks, ejection, retries, hedges, line and time limits.
"""

from lb.aio.application import proxy_application
from lb.aio.client import Balance, balance
from lb.aio.failures import Refused, TimedOut, TooLate

__all__ = ["Balance", "Refused", "TimedOut", "TooLate", "balance", "proxy_application"]
