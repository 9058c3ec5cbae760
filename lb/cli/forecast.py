"""The process beside `lb serve` that simulates what its figures should be: `lb.workers.forecasts`
starts it, and alone it is no command.

It reads a question, writes an answer, and ends; or ends without, as soon as nobody holds the other
end of its standard input.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import sys
import threading
from contextlib import suppress

NICENESS = 19
LENGTH = struct.Struct("!Q")


def main() -> None:
    """One question: a pickled `Scenario` behind its length in eight bytes."""
    with suppress(OSError):
        os.nice(NICENESS)  # requests come first
    question = sys.stdin.buffer
    (length,) = LENGTH.unpack(question.read(LENGTH.size))
    scenario = pickle.loads(question.read(length))  # our parent's
    threading.Thread(target=_outlive_nobody, args=(question.fileno(),), daemon=True).start()
    from lb.errors import LbError
    from sim.live.bands import bands

    try:
        answer = bands(scenario)
    except LbError as error:
        answer = {"reason": str(error)}
    sys.stdout.write(json.dumps(answer))


def _outlive_nobody(question: int) -> None:
    while os.read(question, 1024):  # not by the buffer, which would be locked at the end
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
