"""Addresses of APIs: pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from phases.errors import UsageError


@dataclass(frozen=True)
class Address:
    """Where an API is."""

    host: str
    port: int
    is_tls: bool
    prefix: str
    """Path before `/rest`, without a slash at its end."""
    header: str
    """As the Host header has it."""

    @classmethod
    def of(cls, url: str) -> Address:
        """The address in `url`.

        Raises:
            UsageError: it is no address of an API.
        """
        parts = urlsplit(url if "//" in url else f"http://{url}")
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            port = 0
        if parts.scheme not in ("http", "https") or not parts.hostname or not port:
            raise UsageError(
                f"'{url}' is no address of an API",
                untouched="No request was sent",
                then="Write it as http://127.0.0.1:8000 or https://name.supabase.co",
            )
        header = parts.netloc.rpartition("@")[2]
        is_tls = parts.scheme == "https"
        return cls(parts.hostname, port, is_tls, parts.path.rstrip("/"), header)

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
