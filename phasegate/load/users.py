"""Who comes to the site: users drawn by activity, each with a token of their own.

Reads the file of users where one is named. With several generator processes each one draws only
users that were leased to it, so that no two processes act as one user at the same time and a
client's cache sees every write of its user.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from phasegate.model.errors import ConfigurationError
from phasegate.model.keys import read_key
from phasegate.model.population import Activity, user_key
from phasegate.project.declared import Declared
from phasegate.stack.tokens import mint

# Longer than any session; a token that expires in the middle would count as a refusal.
TOKEN_LIFETIME_S = 6 * 3600


@dataclass(frozen=True)
class User:
    """A registered user who is signed in."""

    id: str
    token: str


class Source(Protocol):
    """Where users come from; they are numbered from 0."""

    def __len__(self) -> int:
        """How many there are."""

    def draw(self, rng: random.Random) -> int:
        """The number of one."""

    def of_index(self, index: int) -> tuple[str, str]:
        """Id and token of user `index`; the token is empty where it has to be minted."""


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

    def of_index(self, index: int) -> tuple[str, str]:
        """See `Source`."""
        return user_key(self._seed, index, numbered=self._numbered), ""


class Listed:
    """Users of a project of one's own, all equally often: a file with one a line.

    A line is the user's id (auth.users.id), or the id, a blank and an access token of theirs.

    Raises:
        ConfigurationError: the file cannot be read, is empty, or a line is neither, or its token
            cannot be sent; its number is named, never its content.
    """

    def __init__(self, path: Path) -> None:
        remedy = "Write a user's id on each line, and an access token behind it if need be"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"Cannot read the users in {path}", then=remedy) from error
        self._users: list[tuple[str, str]] = []
        for number, line in enumerate(lines, 1):
            who, _, token = line.strip().partition(" ")
            if not who:
                continue
            try:
                identity = str(uuid.UUID(who))
            except ValueError:
                raise ConfigurationError(
                    f"Line {number} of {path} does not begin with a user's id", then=remedy
                ) from None
            self._users.append((identity, read_key(token, f"The token on line {number}").value))
        if not self._users:
            raise ConfigurationError(f"{path} contains no user", then=remedy)

    def __len__(self) -> int:
        return len(self._users)

    @property
    def all_have_tokens(self) -> bool:
        """Whether nothing has to be minted."""
        return all(token for _, token in self._users)

    def draw(self, rng: random.Random) -> int:
        """See `Source`."""
        return rng.randrange(len(self._users))

    def of_index(self, index: int) -> tuple[str, str]:
        """See `Source`."""
        return self._users[index]


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
        who, token = self._source.of_index(index)
        return User(who, token or mint(self._jwt_secret, who, lifetime_s=TOKEN_LIFETIME_S))
