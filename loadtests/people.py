"""Who comes to the site: users drawn by activity, each with a token of their own.

Pure but for the tokens' clock. With several generator processes each one draws only users that
were leased to it, so that no two processes act as one user at the same time and a client's cache
sees every write of its user.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from phases.catalogue import Population
from phases.population import Activity, user_id
from stack.tokens import mint

# Longer than any session; a token that expires in the middle would count as a refusal.
TOKEN_LIFETIME_S = 6 * 3600


@dataclass(frozen=True)
class User:
    """A registered user who is signed in."""

    id: str
    token: str


class People:
    """The registered users that one generator process may act as.

    Args:
        seed: of the data set.
        users: registered users.
        population: the catalogue's [population].
        jwt_secret: what the API verifies tokens with.
        slot: this process's number, 0..slots-1.
        slots: generator processes that share the users.
    """

    def __init__(
        self,
        *,
        seed: int,
        users: int,
        population: Population,
        jwt_secret: str,
        slot: int = 0,
        slots: int = 1,
    ) -> None:
        self._seed = seed
        self._activity = Activity(seed, users, population)
        self._jwt_secret = jwt_secret
        self._slot = slot
        # Fewer users than processes: some would have nobody, so they share.
        self._slots = slots if users >= slots else 1

    def draw(self, rng: random.Random) -> User:
        """One of them, as often as they are active."""
        while True:
            index = self._activity.draw(rng)
            if self._slots == 1 or index % self._slots == self._slot:
                break
        return self.of_index(index)

    def of_index(self, index: int) -> User:
        """User `index` of the population."""
        who = user_id(self._seed, index)
        token = mint(self._jwt_secret, str(who), lifetime_s=TOKEN_LIFETIME_S)
        return User(str(who), token)
