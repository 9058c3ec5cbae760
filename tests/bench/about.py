"""What the figures depend on beside the code: Python and how it was built, processor, load."""

from __future__ import annotations

import os
import platform
import re
import sysconfig
import timeit
from pathlib import Path
from typing import Any

from lb import BUILD
from tests.bench.contenders import commit
from tests.bench.processes import ROOT


def described() -> dict[str, Any]:
    """For people, and to tell two files of figures apart."""
    return {
        "commit": commit(ROOT),
        "build": str(BUILD),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "python_built": _optimised(),
        "python_compiler": platform.python_compiler(),
        "loop_us": round(_loop(), 1),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": _system(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _optimised() -> str:
    """Debian's says nothing of its profile though it has one: hence the loop beside."""
    configured = str(sysconfig.get_config_var("CONFIG_ARGS"))
    flags = re.findall(r"-O\w", str(sysconfig.get_config_var("PY_CFLAGS")))
    level = flags[-1] if flags else "not optimised"
    steps = ["--enable-optimizations"] if "--enable-optimizations" in configured else []
    steps += ["--with-lto"] if "--with-lto" in configured else []
    return ", ".join([level, *steps])


def _loop() -> float:
    """Microseconds for a thousand numbers as text, at best: Pythons differ by a factor of two."""
    return min(timeit.repeat("[str(n) for n in range(1000)]", number=20, repeat=9)) / 20 * 1e6


def _system() -> str:
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except OSError:
        return kernel


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        told = ""
    found = dict(re.findall(r"(?m)^(model name|cpu MHz|cpu family|model)\s*: (.*)$", told))
    if "model name" not in found:
        return platform.processor() or platform.machine()
    family = f"family {found.get('cpu family')} model {found.get('model')}"
    return f"{found['model name']} ({family}), {float(found.get('cpu MHz', 0)):.0f} MHz"
