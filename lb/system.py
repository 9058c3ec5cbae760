"""What the operating system says, in its words; not in `errors`, which pure rooms import."""

from __future__ import annotations

import os
import socket


def reason(error: OSError) -> str:
    """Why it failed; libraries add where and what, which the line that says it has already."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return (error.strerror or str(error)).lower()
    return os.strerror(error.errno).lower()
