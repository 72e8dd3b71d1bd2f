"""Keys and tokens as people paste them: API keys, users' tokens, the secret that signs those.

Pure. They go into the heads of requests, so a character that ends a line there is refused here, in
the one place where keys are read; what is harmless around them is left out, with a word. Nothing of
a key is ever quoted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from phasegate.model.address import bare
from phasegate.model.errors import ConfigurationError

ANON_KEY = "SUPABASE_ANON_KEY"
JWT_SECRET = "SUPABASE_JWT_SECRET"  # noqa: S105 - the variable's name

_BEARER = re.compile(r"bearer[ \t]+", re.IGNORECASE)


@dataclass(frozen=True)
class Key:
    """A key or token that may be sent."""

    value: str = field(repr=False)
    remarks: tuple[str, ...] = ()
    """What was left out around it, in sentences for the user."""

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.value)


def read_key(text: str, name: str) -> Key:
    """The key in `text`; empty where there is none.

    Args:
        text: what the environment or a file holds.
        name: of the variable, or of the place in the file, for the messages.

    Raises:
        ConfigurationError: a character in it can be in no key; nothing of it is quoted.
    """
    value, words = bare(text)
    if found := _BEARER.match(value):
        value, more = bare(value[found.end() :])
        words = (*words, "'Bearer'", *more)
    if (kind := _unfit(value)) is not None:
        raise ConfigurationError(
            f"{name} contains {kind}, which no key has",
            untouched="No request was sent, and none of it is shown",
            then="Copy the key again, without anything before or after it",
        )
    remark = f"{name}: {' and '.join(dict.fromkeys(words))} around the key left out"
    return Key(value, (remark,) if words else ())


def _unfit(value: str) -> str | None:
    """What kind of character cannot be sent; None where every one can."""
    for character in value:
        if character in "\r\n":
            return "a line break"
        if not character.isascii():
            return "a character that is not ASCII"
        if not character.isprintable():
            return "a control character"
    return None
