"""Numbers as people say them: `100k`, `3.2× faster`, `18 ms`, `1.4 GB`. Pure.

Also the one place where text that comes from a record is made fit for an SVG or a terminal line.
"""

from __future__ import annotations

import math
import re

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")

PERCENT_BELOW = 1.1
"""Up to a tenth, people say `4% faster`; beyond it, `1.4× faster`."""


def plain(text: str, longest: int = 0) -> str:
    """`text` on one line, without control or direction-changing characters (not valid in SVG).

    Where `longest` is positive, longer text is cut there and ends in an ellipsis.
    """
    clean = " ".join(_LONE_SURROGATE.sub("?", _UNPRINTABLE.sub(" ", text)).split())
    return clean[: longest - 1].rstrip() + "…" if longest and len(clean) > longest else clean


def block(text: str) -> str:
    """`text` with its line breaks and indents kept, each of its lines as `plain` leaves a word."""
    return "\n".join(
        _LONE_SURROGATE.sub("?", _UNPRINTABLE.sub(" ", line)) for line in text.splitlines()
    )


def markdown(text: str) -> str:
    """`text` for a cell of a Markdown table: it can neither end the cell nor start a construct."""
    shielded = re.sub(r"([\\`*_\[\]<>#|~&$!])", r"\\\1", plain(text, longest=300))
    return shielded.replace("@", "@\u2060")  # a word joiner: nobody is notified


def significant(value: float, digits: int = 2) -> str:
    """`value` with `digits` significant digits, never in exponent notation."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{rounded:,.0f}"
    return f"{rounded:.10f}".rstrip("0").rstrip(".")


def rounded(value: float, digits: int = 2) -> int:
    """`value` to `digits` significant digits, as a count."""
    return round(float(f"{value:.{digits - 1}e}"))


def users(count: int) -> str:
    """A number of registered users, short: `950`, `1k`, `2.5k`, `100k`, `1M`."""
    for size, suffix in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.4g}{suffix}"
    return str(count)


def milliseconds(value_ms: float) -> str:
    """A latency in the unit that keeps it short: µs below 1 ms, s from 1,000 ms on; `–` for NaN."""
    if math.isnan(value_ms):
        return "–"
    if value_ms < 1:
        return f"{significant(value_ms * 1000)} µs"
    if value_ms < 1000:
        return f"{significant(value_ms)} ms"
    return f"{significant(value_ms / 1000)} s"


def size(count_bytes: float) -> str:
    """Bytes in decimal units, as price lists count them."""
    value = float(count_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            return f"{significant(value, 3)} {unit}"
        value /= 1000
    return f"{significant(value, 3)} TB"


def duration(seconds: float) -> str:
    """A wall time: `8.2 s`, `5 min 12 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{significant(seconds)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def speed(ratio: float) -> str:
    """What after/before = `ratio` means to a user: `81× faster`, `4% slower`, `as fast`."""
    word, factor = ("faster", 1 / ratio) if ratio < 1 else ("slower", ratio)
    if factor < PERCENT_BELOW:
        percent = (factor - 1) * 100
        return "as fast" if percent < 0.5 else f"{percent:.0f}% {word}"
    return f"{significant(factor)}× {word}"


def wrapped(text: str, longest: int, lines: int = 2) -> str:
    """`text` on at most `lines` lines of at most `longest` characters each."""
    words = plain(text).split(" ")
    said: list[str] = []
    while words and len(said) < lines - 1:
        line = ""
        while words and len(f"{line} {words[0]}".strip()) <= longest:
            line = f"{line} {words.pop(0)}".strip()
        if not line:
            break
        said.append(line)
    if words:
        said.append(plain(" ".join(words), longest))
    return "\n".join(said)


def listed(items: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"


def interval(estimate: float, low: float | None, high: float | None) -> str:
    """A ratio with its interval: `1.071 (1.048 to 1.093)`; without one, `1.071 (no interval)`."""
    if low is None or high is None:
        return f"{estimate:.3f} (no interval)"
    return f"{estimate:.3f} ({low:.3f} to {high:.3f})"
