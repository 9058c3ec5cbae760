"""Where the control plane listens, and who may ask there."""

from __future__ import annotations

import pytest

from lb.config import Scenario
from lb.errors import ConfigError

FILE = '[server]\nadmin = "{}"\n{}\n[[backend]]\naddress = "127.0.0.1:3001"\n'


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8405", "127.9.9.9:1", "[::1]:8405", "localhost:0", "unix:/run/lb.sock"]
)
def test_what_only_this_machine_reaches_needs_no_token(address: str) -> None:
    scenario = Scenario.parse(FILE.format(address, ""))
    assert scenario.server.admin == address
    assert scenario.server.admin_token_file is None


@pytest.mark.parametrize(
    "address", ["0.0.0.0:8405", "[::]:8405", "192.0.2.1:80", "lb.example:8405", "localhost.x:1"]
)
def test_what_others_reach_needs_one(address: str) -> None:
    with pytest.raises(ConfigError) as error:
        Scenario.parse(FILE.format(address, ""), "lb.toml")
    (problem,) = error.value.problems
    assert problem.startswith(f"lb.toml:2 server.admin: {address} can be reached from elsewhere; ")
    assert "admin_token_file" in problem
    given = Scenario.parse(FILE.format(address, 'admin_token_file = "token"'), "/etc/lb/lb.toml")
    assert given.server.admin_token_file == "/etc/lb/token"


def test_an_address_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"lb\.toml:2 server\.admin: '8405' is not host:port"):
        Scenario.parse(FILE.format("8405", ""), "lb.toml")
