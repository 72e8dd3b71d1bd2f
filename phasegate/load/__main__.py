"""Locust with phasegate in it, also where the locustfile knows nothing of it.

    python -m phasegate.load -f locustfile.py …

Takes Locust's arguments and ours. `phasegate load` starts it.
"""

from __future__ import annotations

from locust.main import main

from phasegate.load import SessionUser

if __name__ == "__main__":
    assert SessionUser.abstract  # noqa: S101 - to ask for it is what makes this process ours
    main()
