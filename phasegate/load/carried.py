"""What each request of one session carries: headers that the locustfile set, cookies it was given.

Reads no socket. Cookies are kept as a browser's tab does, by name, for the one host that a session
talks to; a path or a domain of theirs is not looked at.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie

from phasegate.load.transport import Answer, header_lines

SET_COOKIE = b"set-cookie"


class SessionHeaders(UserDict[str, str]):
    """Headers by name, without regard to case, that tell when they were changed."""

    def __init__(self, given: Mapping[str, str], changed: Callable[[], None]) -> None:
        self._changed: Callable[[], None] = lambda: None
        super().__init__(given)
        self._changed = changed

    def __setitem__(self, name: str, value: str) -> None:
        """Have each further request carry it."""
        for known in [one for one in self.data if one.lower() == name.lower()]:
            del self.data[known]
        self.data[name] = value
        self._changed()

    def __delitem__(self, name: str) -> None:
        """Have no further request carry it."""
        (known,) = [one for one in self.data if one.lower() == name.lower()] or [name]
        del self.data[known]
        self._changed()


class Carried:
    """Of one session.

    Args:
        given: headers as it begins: the user's own.
        encode: gives the header lines of a request (`Transport.head`).
    """

    __slots__ = ("_cookie_line", "_encode", "_head", "_headers", "cookies")

    def __init__(self, given: dict[str, str], encode: Callable[[dict[str, str]], bytes]) -> None:
        self._encode = encode
        self._headers: dict[str, str] | SessionHeaders = given
        self._head = encode(given)
        self.cookies: dict[str, str] = {}
        """By name; to be read, and changed through `set_cookie`."""
        self._cookie_line = b""

    @property
    def headers(self) -> SessionHeaders:
        """What each request carries besides its own headers."""
        if not isinstance(self._headers, SessionHeaders):
            self._headers = SessionHeaders(self._headers, self._changed)
        return self._headers

    def replace(self, headers: Mapping[str, str]) -> None:
        """Have each further request carry these headers, and no other of the session's."""
        self._headers = dict(headers)
        self._changed()

    def lines(self, more: Mapping[str, str] | None) -> bytes:
        """The header lines of a request that has headers `more` of its own, which come first."""
        if not more:
            return self._head + self._cookie_line
        own = {name.lower() for name in more}
        head, cookies = self._head, b"" if "cookie" in own else self._cookie_line
        if any(name.lower() in own for name in self._headers):
            left = {name: value for name, value in self._headers.items() if name.lower() not in own}
            head = self._encode(left)
        return head + cookies + _lines(tuple(more.items()))

    def set_cookie(self, name: str, value: str) -> None:
        """Have each further request carry a cookie; an empty `value` removes it."""
        self.cookies.pop(name, None)
        if value:
            self.cookies[name] = value
        self._say_cookies()

    def _say_cookies(self) -> None:
        said = "; ".join(f"{one}={value}" for one, value in self.cookies.items())
        by_hand = any(name.lower() == "cookie" for name in self._headers)
        self._cookie_line = header_lines({"Cookie": said}) if said and not by_hand else b""

    def keep(self, answer: Answer) -> None:
        """Keep the cookies that an answer sets."""
        said = answer.headers.get(SET_COOKIE)
        if said is None:
            return
        for one in said.decode("latin-1").split("\n"):
            try:
                found = SimpleCookie(one)
            except CookieError:
                continue
            for name, morsel in found.items():
                is_gone = morsel["max-age"] in ("0", 0) or "1970" in morsel["expires"]
                self.set_cookie(name, "" if is_gone else morsel.coded_value)

    def _changed(self) -> None:
        self._head = self._encode(dict(self._headers))
        self._say_cookies()


@lru_cache(maxsize=256)
def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    return header_lines(dict(headers))
