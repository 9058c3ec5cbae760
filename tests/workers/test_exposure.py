"""What is unsafe in how a process runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lb.config import Scenario
from lb.workers.exposure import exposed

SOMEBODY = 65532


def test_root_is_told_and_nobody_else() -> None:
    (line,) = exposed(Scenario(), user=0)
    assert line.startswith("runs as root, and needs no privilege")
    assert not list(exposed(Scenario(), user=SOMEBODY))


@pytest.mark.parametrize(("mode", "said"), [(0o600, False), (0o604, True)])
def test_a_token_that_everybody_may_read_is_told(tmp_path: Path, mode: int, said: bool) -> None:
    token, file = tmp_path / "token", tmp_path / "lb.toml"
    token.write_text("secret")
    token.chmod(mode)
    file.write_text('[server]\nadmin = "127.0.0.1:0"\nadmin_token_file = "token"\n')
    lines = list(exposed(Scenario.load(file), user=SOMEBODY))
    assert lines == [f"{file}:3 server.admin_token_file: {why(token)}"] * said
    assert not any("secret" in line.partition("token")[2] for line in lines)


def why(path: Path) -> str:
    return f"others than its owner and group may read {path}; chmod o-rwx {path}"
