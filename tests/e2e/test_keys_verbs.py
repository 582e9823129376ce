"""``holdfast keys``: made once, listed, revoked, logged."""

from __future__ import annotations

from pathlib import Path

import pytest
from company import Call

from holdfast.artifacts.keys import parts


@pytest.mark.usefixtures("shop")
def test_a_keys_life(call: Call, home: Path) -> None:
    assert "There is no key" in call("keys", "list", "-p", "shop").out
    made = call("keys", "create", "--name", "crm", "--role", "score", "-p", "shop", "--json").json["report"]
    key_id, secret = parts(made["key"].encode())
    assert (made["id"], made["name"], made["role"]) == (key_id, "crm", "score")
    said = call("keys", "list", "-p", "shop")
    assert key_id in said.out
    assert call("keys", "revoke", key_id, "-p", "shop").code == 0
    (listed,) = call("keys", "list", "-p", "shop", "--json").json["report"]["keys"]
    assert listed["revoked_at"] is not None
    log = call("keys", "log", "-p", "shop", "--json").json["report"]["log"]
    assert [(line["action"], line["subject"], line["outcome"]) for line in log] == [
        ("revoke key", key_id, "done"),
        ("create key", key_id, "done"),
    ]
    assert call("keys", "log", "-p", "shop").code == 0
    everything = [f.read_bytes() for f in (home / "var").rglob("*") if f.is_file()]
    assert everything
    assert not [b for b in everything if secret in b]


@pytest.mark.usefixtures("shop")
def test_what_cannot_be(call: Call) -> None:
    assert "there is no key 'abc'" in call("keys", "revoke", "abc", "-p", "shop").err
    for words, code in (
        (("revoke", "abc"), 1),
        (("create", "--name", "", "--role", "read"), 2),
        (("create", "--name", "crm", "--role", "boss"), 2),
        (("create", "--role", "read"), 2),
        (("create", "--name", "crm", "--role", "read", "--quiet"), 2),  # the key would be lost
    ):
        said = call("keys", *words, "-p", "shop")
        assert said.code == code, said.err
        assert "Traceback" not in said.err
    assert call("keys", "list", "-p", "shop", "--json").json["report"]["keys"] == []
