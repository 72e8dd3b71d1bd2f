"""Reads and checks a project: one line that names file and key for whatever is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasegate.model.catalogue import PROJECT_TABLES, Catalogue, merged_catalogue
from phasegate.model.errors import ConfigurationError, UsageError
from phasegate.model.read_file import as_record, read_text, read_toml
from phasegate.project.contract import (
    ENGINE_PARTS,
    WORKER_PARTS,
    About,
    ApiFile,
    ClientPart,
    JobFile,
    Level,
    ProjectFile,
    RequestFile,
    TechniqueFile,
)
from phasegate.project.find import FILE, find_project
from phasegate.project.seed_folder import SeedFolder
from phasegate.project.technique import FILE as TECHNIQUE_FILE
from phasegate.project.technique import TechniqueFolder

NOTHING = "Nothing was started"
DOCUMENTED = "docs/project/phasegate-toml.md documents every key"


@dataclass(frozen=True)
class Project:
    """A project that was read and checked.

    Attributes:
        root: its folder, absolute.
        about: name, title, where its users are.
        levels: ascending; level 1 is the first.
        client_parts: ways of the client to read, by name.
        jobs: background jobs, by name.
        requests: what the nightly asks the API, by id.
        api: how its own API is started, where it has one.
        techniques: by id, in the order of their names.
        catalogue: the defaults in force, the project's overrides included.
        overrides: those alone, as `phasegate.toml` has them.
    """

    root: Path
    about: About
    levels: tuple[Level, ...]
    client_parts: dict[str, ClientPart]
    jobs: dict[str, JobFile]
    requests: dict[str, RequestFile]
    techniques: dict[str, TechniqueFolder]
    catalogue: Catalogue
    overrides: dict[str, Any] = field(default_factory=dict)
    api: ApiFile = field(default_factory=ApiFile)

    @property
    def seed(self) -> SeedFolder:
        """Schema and population."""
        return SeedFolder(self.root)

    @property
    def locustfile(self) -> Path:
        """Sessions."""
        return self.root / "loadtests" / "locustfile.py"

    @property
    def is_written_for_us(self) -> bool:
        """Whether there is a locustfile, and it imports phasegate: others are Locust's alone."""
        file = self.locustfile
        return file.is_file() and b"phasegate" in file.read_bytes()

    @property
    def benchmarks(self) -> Path:
        """Techniques and `bench_*.py`."""
        return self.root / "benchmarks"

    @property
    def results(self) -> Path:
        """Where runs are kept unless a flag says otherwise."""
        return self.root / "results"

    def text(self, path: str, key: str = "") -> str:
        """What a file of the project says; `key` names who asks for it.

        Args:
            path: below the project's folder.
            key: as messages name it: `phasegate.toml: jobs.report.work`.

        Raises:
            ConfigurationError: there is no such file, or it lies elsewhere.
        """
        file = (self.root / path).resolve()
        if not file.is_relative_to(self.root):
            raise ConfigurationError(
                f"{key}: {path} lies outside the project",
                untouched=NOTHING,
                then="Move it into the project's folder, and name it from there",
            )
        return read_text(file, f"{path} ({key})" if key else path, untouched=NOTHING)

    def level(self, number: int) -> Level:
        """Level `number`, counted from 1.

        Raises:
            UsageError: there is none.
        """
        if not 1 <= number <= len(self.levels):
            raise UsageError(
                f"There is no stack level {number}",
                untouched=NOTHING,
                then=f"Choose one of 1 to {len(self.levels)}",
            )
        return self.levels[number - 1]

    def parts_of(self, number: int) -> frozenset[str]:
        """The parts of level `number`."""
        return frozenset(self.level(number).parts)

    def parts_in_force(
        self, number: int, added: Sequence[str] = (), removed: Sequence[str] = ()
    ) -> frozenset[str]:
        """The parts of level `number`, with `added` ones (`--with`) and without `removed` ones.

        Raises:
            UsageError: there is no such level or part, or a part to remove is not in it.
        """
        parts = set(self.parts_of(number))
        for name, option in ((added, "--with"), (removed, "--without")):
            for part in name:
                if part not in self.known_parts:
                    raise UsageError(
                        f"{option}: there is no part {part!r}",
                        untouched=NOTHING,
                        then=f"Choose among {', '.join(sorted(self.known_parts))}",
                    )
        for part in removed:
            if part not in parts:
                raise UsageError(
                    f"--without: stack level {number} has no part {part!r}",
                    untouched=NOTHING,
                    then=f"It has {', '.join(sorted(parts)) or 'none'}",
                )
        for part in added:
            own = self.client_parts.get(part)
            parts = (parts - set(own.replaces if own else ())) | {part}
        return frozenset(parts - set(removed))

    def client_of(self, parts: frozenset[str]) -> tuple[str, ...]:
        """Those of `parts` that are the client's, in the order of `phasegate.toml`."""
        return tuple(name for name in self.client_parts if name in parts)

    @property
    def level_assumed(self) -> int:
        """Of a target that does not say: the highest that needs no part of the engine's, or 1."""
        plain = [
            number
            for number, level in enumerate(self.levels, 1)
            if not set(level.parts) & set(ENGINE_PARTS)
        ]
        return max(plain, default=1)

    def technique(self, id_: str) -> TechniqueFolder:
        """The technique of that id.

        Raises:
            UsageError: there is none.
        """
        if id_ not in self.techniques:
            raise UsageError(
                f"There is no technique {id_!r}",
                untouched=NOTHING,
                then=f"Choose one of {', '.join(self.techniques)}",
            )
        return self.techniques[id_]

    def applied_by(self, id_: str) -> TechniqueFolder:
        """The technique whose migration or client's change applies `id_`: itself, or another.

        Raises:
            UsageError: there is no technique `id_`.
        """
        technique = self.technique(id_)
        other = technique.file.same_migration_as
        return self.techniques[other] if other else technique

    def parts_with(self, id_: str) -> tuple[str, ...]:
        """The parts any of which gives a stack the technique `id_`; empty where none does.

        Raises:
            UsageError: there is no such technique.
        """
        named = self.technique(id_).file.parts
        applied = self.applied_by(id_)
        return named or applied.file.parts or ((applied.id,) if applied.migration else ())

    def level_with(self, id_: str) -> int | None:
        """The first level that has the technique `id_`; None where none has.

        Raises:
            UsageError: there is no such technique.
        """
        parts = set(self.parts_with(id_))
        having = (n for n, level in enumerate(self.levels, 1) if parts & set(level.parts))
        return next(having, None)

    def migration_of(self, id_: str, *, undo: bool = False) -> str:
        """What `phasegate sql` prints: the migration, its undo, or what a client changes.

        Raises:
            UsageError: there is no such technique.
        """
        technique = self.applied_by(id_)
        return (technique.undo if undo else technique.migration) or technique.client

    @property
    def in_database(self) -> frozenset[str]:
        """Parts that leave something in the database: migrations, and what a worker carries out."""
        applicable = {id_ for id_, technique in self.techniques.items() if technique.migration}
        return frozenset(applicable | WORKER_PARTS)

    @property
    def known_parts(self) -> frozenset[str]:
        """Every part that a stack can have: the database's, the engine's, the client's."""
        return self.in_database | {*self.client_parts, *ENGINE_PARTS}

    def check_parts(self, parts: tuple[str, ...], where: str) -> None:
        """ConfigurationError for what no stack can have; `where` says who named it."""
        unknown = [part for part in parts if part not in self.known_parts]
        if unknown:
            raise ConfigurationError(
                f"{where}: there is no part {unknown[0]!r}",
                untouched=NOTHING,
                then=f"Choose among {', '.join(sorted(self.known_parts))}",
            )

    def check_client_parts(self, parts: tuple[str, ...], where: str) -> None:
        """ConfigurationError for a part that is none of the client's; `where` says who named it."""
        unknown = [part for part in parts if part not in self.client_parts]
        if unknown:
            raise ConfigurationError(
                f"{where}: there is no part {unknown[0]!r} of the client",
                untouched=NOTHING,
                then=f"Choose among {', '.join(self.client_parts)}",
            )


def without_folder(root: Path) -> Project:
    """What is known of an app that has no project: the catalogue's workload and objectives."""
    about = About(name="app", title="An app without a project", users_table="public.users")
    return Project(
        root=root.resolve(),
        about=about,
        levels=(Level(title="as it is"),),
        client_parts={},
        jobs={},
        requests={},
        techniques={},
        catalogue=merged_catalogue({}, FILE),
    )


def load_project(root: Path | None = None) -> Project:
    """The project in `root`; without it, where `find_project` finds one.

    Raises:
        ConfigurationError: there is none, or a file of it says what it must not; file and key are
            named.
    """
    folder = (root or find_project()).resolve()
    path = folder / FILE
    tables = read_toml(path, path.name, untouched=NOTHING)
    own = {key: value for key, value in tables.items() if key in PROJECT_TABLES}
    file = as_record(own, ProjectFile, FILE, untouched=NOTHING, then=DOCUMENTED)
    overrides = {key: value for key, value in tables.items() if key not in PROJECT_TABLES}
    project = Project(
        root=folder,
        about=file.project,
        levels=file.levels,
        client_parts=file.parts,
        jobs=file.jobs,
        requests=file.requests,
        techniques=read_techniques(folder / "benchmarks"),
        catalogue=merged_catalogue(overrides, FILE),
        overrides=overrides,
        api=file.api,
    )
    for number, level in enumerate(file.levels, 1):
        project.check_parts(level.parts, f"{FILE}: levels[{number - 1}].parts")
    for name, part in file.parts.items():
        project.check_client_parts(part.replaces, f"{FILE}: parts.{name}.replaces")
    _check_techniques(project)
    for name, job in file.jobs.items():
        for key, named in (("work", job.work), ("owns", job.owns)):
            if named:
                project.text(named, f"{FILE}: jobs.{name}.{key}")
    _check_locustfile(project.locustfile)
    return project


def _check_locustfile(path: Path) -> None:
    """Refuse sessions that Python cannot read: Locust itself would say so in a traceback, later."""
    if not path.is_file():
        return  # a project without sessions can be seeded and compared
    try:
        compile(path.read_bytes(), path.name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConfigurationError(
            f"{path.parent.name}/{path.name}{line}: {said}",
            untouched=NOTHING,
            then="Correct it, then start again",
        ) from error


def read_techniques(folder: Path) -> dict[str, TechniqueFolder]:
    """The techniques whose folders lie in `folder`, by id.

    Raises:
        ConfigurationError: a file of one says what it must not, or is missing.
    """
    found = {}
    for path in sorted(folder.glob(f"*/{TECHNIQUE_FILE}")):
        name = f"{folder.name}/{path.parent.name}/{path.name}"
        tables = read_toml(path, name, untouched=NOTHING)
        then = "docs/project/benchmarks.md documents every key"
        entry = as_record(tables, TechniqueFile, name, untouched=NOTHING, then=then)
        found[path.parent.name] = TechniqueFolder(path.parent.name, path.parent, entry)
    for technique in found.values():
        other = technique.file.same_migration_as
        if other and (other not in found or found[other].file.same_migration_as):
            raise ConfigurationError(
                f"{technique.path}: `same_migration_as`: there is no technique {other!r} that has "
                "a migration of its own",
                untouched=NOTHING,
                then="Name another folder of benchmarks/, or leave the key out",
            )
        technique.check()
    return found


def _check_techniques(project: Project) -> None:
    """Whether the parts that techniques name are known, and the technique of the self-check."""
    named = project.about.self_check
    if named and (named not in project.techniques or project.techniques[named].file.after is None):
        raise ConfigurationError(
            f"{FILE}: project.self_check: no technique {named!r} has statements for arms",
            untouched=NOTHING,
            then="Name another folder of benchmarks/, or leave the key out",
        )
    for technique in project.techniques.values():
        file = technique.file
        project.check_parts(file.parts, f"{technique.path}: `parts`")
        project.check_parts(file.needs, f"{technique.path}: `needs`")
        beside = [part for part in file.needs if part not in project.in_database]
        if beside:
            raise ConfigurationError(
                f"{technique.path}: `needs`: {beside[0]!r} is no part of the database",
                untouched=NOTHING,
                then="What stands between an arm and the server is its `via`",
            )
        project.check_parts(
            (file.superseded_by,) if file.superseded_by else (),
            f"{technique.path}: `superseded_by`",
        )
