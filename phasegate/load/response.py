"""An answer as sessions have it, with the names that Locust's have. Reads no socket."""

from __future__ import annotations

from collections.abc import Callable, Sized
from types import TracebackType
from typing import Any

from phasegate.load.answers import shows_nothing
from phasegate.load.session import RequestFailed
from phasegate.load.transport import Answer


class Response:
    """An answer, with the names that Locust's have."""

    __slots__ = ("_decoded", "_is_decoded", "answer")

    def __init__(self, answer: Answer, decoded: Any, *, is_decoded: bool) -> None:
        self.answer = answer
        self._decoded, self._is_decoded = decoded, is_decoded

    @property
    def status_code(self) -> int:
        """0: no answer came."""
        return self.answer.status

    @property
    def ok(self) -> bool:
        """Whether an answer came, with a status below 400."""
        return 0 < self.answer.status < 400

    @property
    def content(self) -> bytes:
        """The body, decompressed."""
        return self.answer.content()

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.content.decode("utf-8", "replace")

    @property
    def headers(self) -> dict[str, str]:
        """By name in lower case."""
        return {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in self.answer.headers.items()
        }

    @property
    def size_bytes(self) -> int:
        """Of the body, as it was sent."""
        return self.answer.wire_bytes

    @property
    def error(self) -> str:
        """Why no answer came; empty where one did."""
        return self.answer.error

    def json(self) -> Any:
        """The decoded body.

        Raises:
            RequestFailed: it is not JSON.
        """
        if not self._is_decoded:
            try:
                self._decoded = self.answer.json()
            except (ValueError, RecursionError) as error:
                raise RequestFailed(f"{self.status_code} an answer instead of JSON") from error
            self._is_decoded = True
        return self._decoded

    def shown(self) -> Sized | None:
        """What a user sees of it: rows, or an object; None where it has no body."""
        body = self.json() if self.answer.body else None
        if body is not None and shows_nothing(body):
            return ()
        return body if body is None or isinstance(body, Sized) else (body,)


class CaughtResponse(Response):
    """An answer that the locustfile judges itself: `with self.client.get(…, catch_response=True)`.

    Without a word it is judged as every other; it never raises.
    """

    __slots__ = ("_judge", "_verdict")

    def __init__(self, answer: Answer, judge: Callable[[CaughtResponse, str | None], None]) -> None:
        super().__init__(answer, None, is_decoded=False)
        self._judge = judge
        self._verdict: str | None = None

    def success(self) -> None:
        """It is in order, whatever its status."""
        self._verdict = ""

    def failure(self, why: object) -> None:
        """It is not, whatever its status."""
        self._verdict = str(why) or "failed"

    def __enter__(self) -> CaughtResponse:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        caught = kind is not None and issubclass(kind, RequestFailed)
        if kind is not None and self._verdict is None:
            self._verdict = str(error) if caught else "an error of the locustfile's"
        self._judge(self, self._verdict)
        return caught
