"""The command line as a whole: its help, its version, its verbs in the order of the flow."""

from __future__ import annotations

import click

from phasegate.cli.circumstances import code_version
from phasegate.cli.verbs import answering, history, measuring, nightly, standing


class _InOrder(click.Group):
    """Lists the verbs as they were added, which is the order of the flow."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(code_version(), prog_name="phasegate")
def phasegate() -> None:
    """Can this Postgres app go from 1k to 10k to 100k users?

    What breaks first, which fix helps, from how many users on, and what will it cost: answered by
    measuring.

    Exit codes: 0 holds · 1 does not hold · 2 the call or the configuration is wrong · 3 could not
    be measured fairly · 70 a defect of phasegate itself. Defaults come from the catalogue; a
    phasegate.toml in the current folder overrides it.
    """


for _verb in (
    measuring.run,
    measuring.seed,
    standing.up,
    standing.down,
    standing.health,
    answering.report,
    answering.gate,
    answering.cost,
    answering.compare,
    answering.sql,
    nightly.nightly,
    history.history,
    history.digest,
    standing.doctor,
):
    phasegate.add_command(_verb)
