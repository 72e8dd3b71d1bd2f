"""Makes a process of Locust's ours: called once, as a locustfile imports the user class.

Reads the project that the locustfile lies in; enters our options; joins the test
(`load.locust_events`). Whatever is wrong is one line and exit code 2.
"""

from __future__ import annotations

import contextlib
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

import gevent
from locust import events
from locust.env import Environment

from phasegate.load import locust_hooks
from phasegate.load.arrivals import described
from phasegate.load.locust_events import LocustEvents
from phasegate.load.locust_options import adapt
from phasegate.load.locust_statistics import install_csv_writer
from phasegate.load.options import add_arguments
from phasegate.load.session_user import SessionUser
from phasegate.model.errors import ConfigurationError, PhasegateError
from phasegate.project import VARIABLE, Project, find_project, load_project, without_folder
from phasegate.records.faults import explained


def stop(error: PhasegateError, *, aloud: bool = True) -> NoReturn:
    """Say in one line why there is no test, and end."""
    if aloud:
        print(error.sentence(), file=sys.stderr)  # noqa: T201 - before Locust's own output
    sys.exit(error.exit_code)


@lru_cache(maxsize=1)
def _project() -> Project:
    """The locustfile's, or the one of the current folder; ends the program where there is none.

    A file of Locust's own classes alone needs none: it says itself who its users are.
    """
    try:
        folder = _folder()
        return without_folder(Path.cwd()) if folder is None else load_project(folder)
    except Exception as error:
        stop(explained(error))


def _folder() -> Path | None:
    """Of the project: the environment says, or where the locustfile lies, or the current folder."""
    files = [sys.modules[each.__module__].__file__ for each in SessionUser.__subclasses__()]
    with contextlib.suppress(ConfigurationError):  # as that of a worker whose master sent it one
        if files and files[0]:
            return find_project(Path(files[0]).parent)
    try:
        return find_project()
    except ConfigurationError:
        if files or os.environ.get(VARIABLE):
            raise
        return None


def _on_init(environment: Environment, **_: Any) -> None:
    """Join the test that this process was started for, or say in one line why not."""
    # Its time stands still while Python imports: --run-time would begin seconds ago.
    gevent.get_hub().loop.update_now()
    try:
        LocustEvents(_project()).join(environment)
    except Exception as error:
        options = environment.parsed_options
        # A worker that was forked leaves the words to the process that it was forked from.
        stop(explained(error), aloud=not (options and options.worker and options.processes))


def _on_parser(parser: Any, **_: Any) -> None:
    """Enter our arguments, and make Locust's own do what they say."""
    sys.excepthook = sys.__excepthook__  # the locustfile is imported
    _project()
    add_arguments(parser)
    adapt(parser, stop)


def _say_fault(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """A fault of the locustfile as it is imported: one line, and the exit code of a wrong call."""
    if isinstance(error, Exception):
        stop(
            ConfigurationError(
                f"The locustfile has a fault: {described(error)}",
                untouched="No request was sent",
                then="Mend it and start again",
            )
        )
    sys.__excepthook__(kind, error, trace)


def install() -> None:
    """Have Locust do all this: called once, as a locustfile imports the user class."""
    sys.excepthook = _say_fault
    locust_hooks.install()
    install_csv_writer()
    events.init_command_line_parser.add_listener(_on_parser)
    events.init.add_listener(_on_init)
