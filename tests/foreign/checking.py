"""What other balancers say of their own files, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PATH = os.environ.get("PATH", "") + ":/usr/sbin"


def complaints(kind: str, text: str, directory: Path) -> str | None:
    """What the balancer itself says against `text`; None where it is not installed."""
    program = shutil.which(kind, path=PATH)
    if program is None:
        return None
    file = directory / f"{kind}.conf"
    file.write_text(text)
    arguments = {
        "haproxy": ["-c", "-q", "-f", str(file)],
        "nginx": ["-t", "-q", "-p", str(directory), "-c", file.name, "-e", "stderr"],
    }[kind]
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr or ("" if done.returncode == 0 else f"{done.returncode}")
