"""The control plane of a main process: what it asks for after another file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lb.config import Scenario
from lb.errors import ConfigError
from lb.workers.plane import Plane
from tests.admin.house import Held


@pytest.mark.parametrize("where", ["0.0.0.0:8405", "[::]:8405", "127.0.0.1:8405", None])
@pytest.mark.parametrize("moved", ["127.0.0.1:8406", None])
def test_who_can_be_reached_from_elsewhere_is_not_left_without_a_token(
    tmp_path: Path, where: str | None, moved: str | None
) -> None:
    (tmp_path / "token").write_text("s3cret")
    file = tmp_path / "lb.toml"

    def written(admin: str | None, token: bool) -> Scenario:
        at = "" if admin is None else f'admin = "{admin}"\n'
        file.write_text("[server]\n" + at + 'admin_token_file = "token"\n' * token)
        return Scenario.load(file)

    async def test() -> None:
        plane = Plane(Held(), written(where, True), lambda *_, **__: None)
        assert await plane.token(written(moved, True)) == "s3cret"
        if where is None or where.startswith("127."):
            assert await plane.token(written(moved, False)) is None
        else:
            with pytest.raises(ConfigError) as error:
                await plane.token(written(moved, False))
            (problem,) = error.value.problems
            assert problem.startswith(f"{file}:1 server.admin_token_file: missing; ")
            assert where in problem
        await plane.stop(gently=True)

    asyncio.run(test())
