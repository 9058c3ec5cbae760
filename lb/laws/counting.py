"""What a decision costs, counted instead of timed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def operations(decide: Callable[..., object], *arguments: object) -> int:
    """Bytecode instructions of a call of `decide` and everything in Python that it calls.

    Of what is compiled none are seen.
    """
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()  # hypothesis is called back by collections
    sys.settrace(trace)
    try:
        decide(*arguments)
    finally:
        sys.settrace(before)
        gc.enable()
    return count
