"""The process beside `lb serve` that tries other algorithms: `lb.workers.shadow` starts it, and
alone it is no command.

It is given a socket that listens, where balancers say what they do, and writes one line of JSON for
each look; it ends as soon as nobody holds the other end of its standard input.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from contextlib import suppress

NICENESS = 19


def main() -> None:
    """The arguments are a descriptor and the algorithms."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)  # requests come first
    listening = socket.socket(fileno=int(sys.argv[1]))
    listening.setblocking(True)
    threading.Thread(target=_outlive_nobody, daemon=True).start()
    from sim.fit.shadow import Window, accept, shadowed

    window = Window()
    threading.Thread(target=accept, args=(listening, window), daemon=True).start()
    with suppress(BrokenPipeError, KeyboardInterrupt):
        for told in shadowed(window, sys.argv[2:]):
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


def _outlive_nobody() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
