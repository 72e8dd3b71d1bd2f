"""Ends a session's pooler if the session cannot: `python -m phasegate.compare.pooler_guard FOLDER`.

Waits for its standard input to end, which it does however the session ends, by SIGKILL too; then
stops the pooler of FOLDER, if it still runs, and removes FOLDER. A pooler is a program of its own
that outlives who started it; proxies (`compare.latency_proxy`) watch their standard input
themselves.
"""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path


def main() -> None:
    """Wait, then clear away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the session, which stops it all
    sys.stdin.read()
    # Imported only now: it takes the time of some comparisons, and is hardly ever needed.
    from phasegate.stack.pgbouncer import stop_pgbouncer

    folder = Path(sys.argv[1])
    stop_pgbouncer(folder / "pgbouncer")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
