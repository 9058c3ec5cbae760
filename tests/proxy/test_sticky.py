"""Sticky sessions over real connections: the cookie, and who comes back where."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from tests.proxy.conftest import Run
from tests.proxy.doubles import answering, get, ok, origin, proxy

STICKY = 'algorithm = "sticky"\nkey = "cookie:home"'


def test_a_cookie_leads_back_and_is_given_once(run: Run) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            backends = [await stack.enter_async_context(origin(answering(ok()))) for _ in range(3)]
            lb = await stack.enter_async_context(proxy(*backends, toml=STICKY))
            first = await lb.get()
            home = first["X-Backend-Server"]
            cookie = first["Set-Cookie"]
            assert cookie is not None
            assert cookie.startswith("home=")
            assert "; Path=/; HttpOnly; SameSite=Lax" in cookie
            pair = cookie.partition(";")[0]
            client = await stack.enter_async_context(lb.client())
            for _ in range(4):
                client.send(get("/", "Cookie: other=1; " + pair))
                again = await client.response()
                assert again["X-Backend-Server"] == home
                assert again["Set-Cookie"] is None
            # Those without a cookie are placed in turn, whatever address they share.
            assert (await lb.get())["X-Backend-Server"] != home

    run(test())


@pytest.mark.parametrize("algorithm", ["round_robin", "maglev"])
def test_other_algorithms_set_no_cookie(run: Run, algorithm: str) -> None:
    async def test() -> None:
        async with (
            origin(answering(ok())) as backend,
            proxy(backend, toml=f'algorithm = "{algorithm}"\nkey = "cookie:home"') as lb,
        ):
            assert (await lb.get())["Set-Cookie"] is None

    run(test())
