"""`locust -f loadtests/locustfile.py --host URL`: headless, in the web UI, with workers.

Wires Locust's events to the generator (workers, local runs) and to the conductor (master, local
runs). Reads SUPABASE_ANON_KEY and SUPABASE_JWT_SECRET; writes records where `--out` names a folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from locust import User, events, tag, task
from locust.env import Environment

from phasegate.load.locust_csv import install_csv_writer
from phasegate.load.locust_events import Crew
from phasegate.load.locust_options import adapt
from phasegate.load.options import add_arguments
from phasegate.model.catalogue import load
from phasegate.model.errors import PhasegateError
from phasegate.records.faults import explained

# As for every command: the entries of a file beside the caller replace the catalogue's.
OVERRIDES = Path("phasegate.toml")


def stop(error: PhasegateError, *, aloud: bool = True) -> NoReturn:
    """Say in one line why there is no test, and end."""
    if aloud:
        print(error.sentence(), file=sys.stderr)  # noqa: T201 - before Locust's own output
    sys.exit(error.exit_code)


try:
    CATALOGUE = load(OVERRIDES if OVERRIDES.exists() else None)
except Exception as wrong:
    stop(explained(wrong))
crew = Crew(CATALOGUE)


def weight(share: float) -> int:
    """Locust draws tasks by whole numbers; two decimals of the catalogue's weights are kept."""
    return max(1, round(share * 100))


class AppUser(User):
    """A person with the app open.

    In the closed model each Locust user clicks one session after the other. In the open model
    sessions arrive by themselves, and Locust's users only stand by.
    """

    def wait_time(self) -> float:
        """Think time lies between clicks (`Session`), and before a next session there is none."""
        return 0

    @tag("read")
    @task(weight(CATALOGUE.sessions.browse_weight))
    def browse(self) -> None:
        """Look at tasks, a project, the statistics."""
        crew.closed_session("browse")

    @tag("write")
    @task(weight(CATALOGUE.sessions.organise_weight))
    def organise(self) -> None:
        """Create a task and complete it."""
        crew.closed_session("organise")

    @tag("heavy")
    @task(weight(CATALOGUE.sessions.heavy_weight))
    def heavy(self) -> None:
        """Have long work done; only with `--tags heavy`."""
        crew.closed_session("heavy")

    @tag("analytics")
    @task(weight(CATALOGUE.sessions.analyse_weight))
    def analyse(self) -> None:
        """Read the whole log; only with `--tags analytics`."""
        crew.closed_session("analyse")


def on_init(environment: Environment, **_: Any) -> None:
    """Join the test that this process was started for, or say in one line why not."""
    try:
        crew.join(environment)
    except Exception as error:
        options = environment.parsed_options
        # A worker that was forked leaves the words to the process that it was forked from.
        stop(explained(error), aloud=not (options and options.worker and options.processes))


def on_parser(parser: Any, **_: Any) -> None:
    """Enter our arguments, and make Locust's own do what they say."""
    add_arguments(parser)
    adapt(parser, stop)


install_csv_writer()
events.init_command_line_parser.add_listener(on_parser)
events.init.add_listener(on_init)
