"""Whether an address, or the Host that a request names, is this machine's own."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

_HOST = re.compile(rb"\[(?P<v6>[0-9A-Fa-f:.]{2,45})\](:\d{1,5})?|(?P<name>[^:\[\]]{1,255})(:\d{1,5})?")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``. Names other than localhost are not trusted to stay what they are."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(64)
def is_named_loopback(header: bytes) -> bool:
    """Whether a Host header names this machine.

    A web page can have its own name lead to 127.0.0.1 (DNS rebinding) and then read, in the browser of whoever looks at
    it, what serves there. Only the name still tells.
    """
    found = _HOST.fullmatch(header)
    if found is None:
        return False
    return is_loopback((found["v6"] or found["name"]).decode("latin-1").lower())
