"""Settings that decide how PostgreSQL plans, where they differ from its defaults; part of records.

Pure. With `enable_indexscan` off an index changes nothing: whoever reads a figure has to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from phasegate.records.store import Part

# The roles of Supabase's API: it logs in as the first and acts as one of the others.
API_ROLES = ("authenticator", "authenticated", "anon")

# As Supabase sets them, and `stack.postgres` too: figures are meant to be of such a server.
EXPECTED = frozenset({("random_page_cost", "1.1"), ("jit", "off")})

# They follow the size of the machine. Parallel plans that are turned off altogether do not.
BY_SIZE = frozenset(
    {
        "effective_cache_size",
        "hash_mem_multiplier",
        "max_parallel_workers",
        "max_parallel_workers_per_gather",
        "work_mem",
    }
)
TURNED_OFF = "0"

# By `pg_settings.source`: where a value was set, and what takes it back.
_SET: Mapping[str, tuple[str, str]] = {
    "client": ("by PGOPTIONS or the database URL", "leave it out there"),
    "session": ("by PGOPTIONS or the database URL", "leave it out there"),
    "database": ("for this database", "ALTER DATABASE … RESET {name}"),
    "user": ("for the role that connects", "ALTER ROLE … RESET {name}"),
    "database user": (
        "for the role that connects in this database",
        "ALTER ROLE … IN DATABASE … RESET {name}",
    ),
    "global": ("for all roles", "ALTER ROLE ALL RESET {name}"),
    "configuration file": (
        "in the server's configuration",
        "ALTER SYSTEM RESET {name}, SELECT pg_reload_conf(); or take it out of postgresql.conf",
    ),
}
_SET_OTHERWISE = ("when the server was started", "start it without")


class PlannerSetting(Part, frozen=True, kw_only=True):
    """One of them."""

    name: str
    """As in `pg_settings`."""
    value: str
    """In force, as SHOW prints it; for a role, as it was set."""
    default: str
    """PostgreSQL's own."""
    source: str
    """`pg_settings.source` of the session that looked, or `role R`, where it was set for a role of
    the API, whose sessions are others; with ` in this database` where it holds in that one only."""

    @property
    def is_expected(self) -> bool:
        """Whether a Supabase project has it so."""
        return (self.name, self.value) in EXPECTED

    @property
    def is_by_size(self) -> bool:
        """Whether it only follows the size of the machine: worth knowing, no warning."""
        return self.name in BY_SIZE and self.value != TURNED_OFF

    @property
    def is_of_session(self) -> bool:
        """Whether it holds for the session that looked, and not for everybody."""
        return self.source in ("client", "session", "user", "database user")

    def __str__(self) -> str:
        return f"{self.name} = {self.value} (default: {self.default})"


def warnings(settings: Iterable[PlannerSetting]) -> tuple[str, ...]:
    """A sentence for each that is neither expected nor by size, with what takes it back."""
    return tuple(_warning(one) for one in settings if not (one.is_expected or one.is_by_size))


def information(settings: Iterable[PlannerSetting]) -> tuple[str, ...]:
    """A sentence for those that follow the machine's size; none where there are none."""
    by_size = dict.fromkeys(str(one) for one in settings if one.is_by_size)
    return (f"Of the server's size: {', '.join(by_size)}",) if by_size else ()


def sentences(settings: Iterable[PlannerSetting]) -> tuple[str, ...]:
    """All that a terminal says: warnings, then information."""
    settings = tuple(settings)
    return (*warnings(settings), *information(settings))


def _warning(one: PlannerSetting) -> str:
    where, undo = _SET.get(one.source, _SET_OTHERWISE)
    if one.source.startswith("role "):
        role, _, here = one.source.removeprefix("role ").partition(" ")
        where = f"for {one.source}, as which the API works"
        undo = f"ALTER ROLE {role} {'IN DATABASE … ' if here else ''}RESET {{name}}"
    return (
        f"Planner setting {one}, set {where}: plans and times may be others than those of a server "
        f"without it. To undo it: {undo.format(name=one.name)}"
    )
