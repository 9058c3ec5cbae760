"""As in the proxy's room: both event loops, and whatever escapes into the loop fails the test."""

from tests.proxy.conftest import run

__all__ = ["run"]
