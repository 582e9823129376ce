"""API keys: how one looks, what is kept of it, and which roles there are.

A key is ``hf_<id>_<secret>``: the id finds it, and only the SHA-256 of the secret is kept. A slow hash (bcrypt, scrypt)
is for passwords, which people choose and others can guess; this secret is 256 random bits, which nobody guesses however
fast the hash is, and a slow one would cost every request 100 ms.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["read", "score", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may."""

ID_BYTES = 6
SECRET_BYTES = 32

ID = re.compile(r"[0-9a-f]{12}")
_FORM = re.compile(rb"hf_([0-9a-f]{12})_([0-9a-f]{64})")


@dataclass(frozen=True)
class Key:
    """What is known of a key that may be used; ``digest`` is the SHA-256 of its secret, 32 bytes."""

    key_id: str
    role: Role
    digest: bytes

    def may(self, role: Role) -> bool:
        """Whether this key's role includes another.

        >>> Key("", "score", b"").may("read"), Key("", "score", b"").may("admin")
        (True, False)
        """
        return ROLES.index(self.role) >= ROLES.index(role)


def new_key() -> tuple[str, str]:
    """A new key's id, and the whole of it, which is not kept."""
    key_id = secrets.token_hex(ID_BYTES)
    return key_id, f"hf_{key_id}_{secrets.token_hex(SECRET_BYTES)}"


def parts(sent: bytes) -> tuple[str, bytes]:
    """The id and the secret of what a client sent; what is not a key has no id, and is all secret."""
    match = _FORM.fullmatch(sent)
    return (match[1].decode(), match[2]) if match else ("", sent)


def digest(secret: bytes) -> bytes:
    """SHA-256, 32 bytes."""
    return hashlib.sha256(secret).digest()
