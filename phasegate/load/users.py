"""Who comes to the site: users drawn by activity, each with a token of their own.

Reads the file of users where one is named. With several generator processes each one draws only
users that were leased to it, so that no two processes act as one user at the same time and a
client's cache sees every write of its user.
"""

from __future__ import annotations

import csv
import random
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from phasegate.model.errors import ConfigurationError
from phasegate.model.keys import read_key
from phasegate.model.population import Activity, user_key
from phasegate.project.declared import Declared
from phasegate.stack.tokens import mint

REMEDY = (
    "Write a user's id on each line, and an access token behind it if need be; or CSV whose "
    "heading has a column id, and token if need be"
)

# How a token begins, which somebody put where the id belongs.
JWT_BEGINS = "eyJ"

# Of an id: it goes into paths and queries.
UNFIT_IN_PATH = re.compile(r"[^\x21-\x7e]")

# Longer than any session; a token that expires in the middle would count as a refusal.
TOKEN_LIFETIME_S = 6 * 3600


@dataclass(frozen=True)
class User:
    """A registered user who is signed in."""

    id: str
    token: str = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Further columns of `--users-file`, by their heading: an e-mail address, a password."""


class Source(Protocol):
    """Where users come from; they are numbered from 0."""

    def __len__(self) -> int:
        """How many there are."""

    def draw(self, rng: random.Random) -> int:
        """The number of one."""

    def of_index(self, index: int) -> User:
        """User `index`; the token is empty where it has to be minted."""


class Seeded:
    """The seeder's users, each as often as they are active.

    Args:
        seed: of the data set.
        users: registered users.
        declared: the project's population.
    """

    def __init__(self, seed: int, users: int, declared: Declared) -> None:
        self._seed, self._users = seed, users
        self._numbered = declared.users_are_numbered
        self._activity = Activity(seed, users, declared.file.activity_sigma)

    def __len__(self) -> int:
        return self._users

    def draw(self, rng: random.Random) -> int:
        """See `Source`."""
        return self._activity.draw(rng)

    def of_index(self, index: int) -> User:
        """See `Source`."""
        return User(user_key(self._seed, index, numbered=self._numbered), "")


class Listed:
    """Users of a project of one's own, all equally often: a file with one a line.

    A line is the user's id, whatever its type, or the id, a blank and an access token of theirs. Or
    it is CSV with a heading, which has a column `id`, may have one `token`, and any others.

    Raises:
        ConfigurationError: the file cannot be read, is empty, or a line is neither, or its id or
            token cannot be sent; its number is named, never its content.
    """

    def __init__(self, path: Path) -> None:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(
                f"Cannot read the users in {path}: {why}", then=REMEDY
            ) from error
        heading = lines[0].split(",") if lines and "," in lines[0] else []
        rows = _columns(lines, path) if heading else _words(lines)
        self._users: list[User] = []
        for number, (who, token, fields) in rows:
            if not who or who.startswith(JWT_BEGINS) or UNFIT_IN_PATH.search(who):
                raise ConfigurationError(
                    f"Line {number} of {path} does not begin with a user's id", then=REMEDY
                )
            key = read_key(token, f"The token on line {number}").value
            self._users.append(User(who, key, fields))
        if not self._users:
            raise ConfigurationError(f"{path} contains no user", then=REMEDY)

    def __len__(self) -> int:
        return len(self._users)

    @property
    def all_have_tokens(self) -> bool:
        """Whether nothing has to be minted."""
        return all(user.token for user in self._users)

    def draw(self, rng: random.Random) -> int:
        """See `Source`."""
        return rng.randrange(len(self._users))

    def of_index(self, index: int) -> User:
        """See `Source`."""
        return self._users[index]


Row = tuple[int, tuple[str, str, dict[str, str]]]


def _words(lines: list[str]) -> Iterator[Row]:
    """Line number, id, token: separated by a blank."""
    for number, line in enumerate(lines, 1):
        who, _, token = line.strip().partition(" ")
        if who:
            yield number, (_identity(who), token.strip(), {})


def _columns(lines: list[str], path: Path) -> Iterator[Row]:
    """The same, and further columns, of CSV with a heading."""
    reader = csv.DictReader(lines, skipinitialspace=True)
    if "id" not in (reader.fieldnames or ()):
        raise ConfigurationError(f"The heading of {path} has no column `id`", then=REMEDY)
    for row in reader:
        fields = {name: value or "" for name, value in row.items() if isinstance(name, str)}
        who, token = fields.pop("id").strip(), fields.pop("token", "").strip()
        yield reader.line_num, (_identity(who), token, fields)


def _identity(who: str) -> str:
    """A UUID as PostgreSQL writes it, any other id as it is."""
    try:
        return str(uuid.UUID(who))
    except ValueError:
        return who


class ActingUsers:
    """The users that one generator process may act as.

    Args:
        source: all of them.
        jwt_secret: what the API verifies tokens with.
        slot: this process's number, 0..slots-1.
        slots: generator processes that share the users.
    """

    def __init__(self, *, source: Source, jwt_secret: str, slot: int = 0, slots: int = 1) -> None:
        self._source = source
        self._jwt_secret = jwt_secret
        self._slot = slot
        # Fewer users than processes: some would have nobody, so they share.
        self._slots = slots if len(source) >= slots else 1

    def draw(self, rng: random.Random) -> User:
        """One of them."""
        while True:
            index = self._source.draw(rng)
            if self._slots == 1 or index % self._slots == self._slot:
                break
        user = self._source.of_index(index)
        if user.token or not self._jwt_secret:
            return user
        token = mint(self._jwt_secret, user.id, lifetime_s=TOKEN_LIFETIME_S)
        return replace(user, token=token)
