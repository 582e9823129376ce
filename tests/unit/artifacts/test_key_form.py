"""API keys: their form, and what is kept of them."""

from __future__ import annotations

import hashlib

import pytest

from holdfast.artifacts.keys import ID, ROLES, Key, digest, new_key, parts


def test_keys_are_found_by_their_id_and_proved_by_their_secret() -> None:
    key_id, key = new_key()
    assert ID.fullmatch(key_id)
    secret = key.rpartition("_")[2]
    assert parts(key.encode()) == (key_id, secret.encode())
    assert len(bytes.fromhex(secret)) == 32  # 256 random bits: what makes a fast hash enough
    assert digest(b"abc") == hashlib.sha256(b"abc").digest()
    assert len({new_key() for _ in range(100)}) == 100


@pytest.mark.parametrize("sent", [b"hf_", b"hf_0123456789ab_", b"HF_" + b"0" * 77, b"\xff\x00", b"x" * 99_999, b"\n"])
def test_what_is_no_key_has_no_id(sent: bytes) -> None:
    assert parts(sent) == ("", sent)
    key = new_key()[1].encode()
    assert parts(key + sent) == ("", key + sent)


def test_each_role_may_what_those_before_it_may() -> None:
    allowed = {role: [r for r in ROLES if Key("", role, b"").may(r)] for role in ROLES}
    assert allowed == {"read": ["read"], "score": ["read", "score"], "admin": ["read", "score", "admin"]}
