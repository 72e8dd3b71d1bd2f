"""`phasegate` and `python -m phasegate`: parse, run, and say once what went wrong."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from phasegate.model.address import without_credentials
from phasegate.model.errors import ExitCode

INTERRUPTED = (
    "Interrupted. What had been finished is kept, nothing half-done is counted, and every server "
    "of ours was stopped. Start again when you like."
)

NO_AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"
"""As numpy names it from 2.4 on; where a processor or a numpy has none of them, nothing happens."""
CPUINFO_BYTES = 4096
"""The first processor's part of /proc/cpuinfo."""

AGAIN_S = 0.02
"""After an interruption that was lost: by then that object is gone."""


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    # Once: from here on servers are being stopped, which a second Ctrl-C must not cut short.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _lost(found: sys.UnraisableHookArgs) -> None:
    """Ask again where an interruption came while an object was being taken away.

    Python lets no exception out of there (`sys.unraisablehook`), so that the run would go on.
    """
    if found.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(found)
        return
    signal.signal(signal.SIGINT, _interrupted)
    threading.Timer(AGAIN_S, os.kill, (os.getpid(), signal.SIGINT)).start()


def sort_without_avx512(cpuinfo: str = "/proc/cpuinfo") -> None:
    """Have numpy, which is imported later, sort with AVX2 on AMD's Zen 4.

    What AVX-512 sorts with there is microcode: numbers take five times as long
    (docs/decisions/0019-sorting-on-zen-4.md). Whoever has said otherwise is heard.
    """
    try:
        with Path(cpuinfo).open(encoding="ascii", errors="replace") as file:
            first = file.read(CPUINFO_BYTES)
    except OSError:  # no Linux
        return
    if "AuthenticAMD" in first and re.search(r"cpu family\s*: 25\n", first):
        os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", NO_AVX512)


def main() -> None:
    """The command `phasegate`."""
    sort_without_avx512()
    run_command(_phasegate, "phasegate")


def _phasegate() -> click.Command:
    # Here, not above: Ctrl-C while the rooms are being imported is answered like any other.
    from phasegate.cli.main import phasegate

    return phasegate


def run_command(command: Callable[[], click.Command], name: str) -> NoReturn:
    """Run a command line and exit with a documented code; no traceback reaches the user."""
    signal.signal(signal.SIGINT, _interrupted)
    sys.unraisablehook = _lost
    signal.signal(signal.SIGTERM, _interrupted)  # a polite kill ends a run the way Ctrl-C does
    sys.exit(_exit_code(command, name))


def _exit_code(command: Callable[[], click.Command], name: str) -> int:
    try:
        return int(command().main(prog_name=name, standalone_mode=False) or ExitCode.HOLDS)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return ExitCode.WRONG_CALL
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context is not None else name
        hint = f"See `{where} --help`."
        said = without_credentials(error.format_message())
        click.echo(f"phasegate: {said} Nothing was started. {hint}", err=True)
        return ExitCode.WRONG_CALL
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"\nphasegate: {INTERRUPTED}", err=True)
        return ExitCode.WRONG_CALL
    except BrokenPipeError:
        # The reader went away (`| head`); keep Python from complaining about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.HOLDS
    except Exception as error:
        from phasegate.records.faults import explained

        wrong = explained(error)
        click.echo(f"phasegate: {without_credentials(wrong.sentence())}", err=True)
        return wrong.exit_code


if __name__ == "__main__":
    main()
