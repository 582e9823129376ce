"""API keys and the log of admin calls, on SQLite and on a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from holdfast.artifacts.keys import digest, parts
from holdfast.errors import NotFoundError, UsageError
from holdfast.stores.state import StateStore
from holdfast.stores.state_engine import reading, writing

START = datetime(2024, 3, 1, tzinfo=UTC)


class Clock:
    """One second later at each look."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def store(address: str) -> Iterator[StateStore]:
    store = StateStore(address, now=Clock())
    yield store
    store.close()


def create(store: StateStore, role: str = "read", *, project: str = "shop") -> tuple[str, str]:
    row, key = store.create_key(project, "crm", role, actor="me")
    return row.key_id, key


def test_only_a_hash_of_the_secret_is_kept(store: StateStore) -> None:
    key_id, key = create(store)
    sent_id, secret = parts(key.encode())
    assert sent_id == key_id
    assert store.usable_keys("shop")[key_id].digest == digest(secret)
    with reading(store.engine) as session:
        kept = str(session.execute(text("SELECT * FROM api_keys")).all())
    assert key_id in kept
    assert secret.decode() not in kept


def test_revoked_keys_are_listed_but_not_usable(store: StateStore) -> None:
    first, second = create(store)[0], create(store, "admin")[0]
    assert {k: v.role for k, v in store.usable_keys("shop").items()} == {first: "read", second: "admin"}
    revoked = store.revoke_key("shop", first, actor="key x")
    assert list(store.usable_keys("shop")) == [second]
    assert [k.key_id for k in store.keys("shop")] == [second, first]
    assert store.revoke_key("shop", first, actor="me").revoked_at == revoked.revoked_at  # the first time stays


def test_keys_are_of_one_project(store: StateStore) -> None:
    key_id, _ = create(store)
    other, _ = create(store, project="other")
    assert list(store.usable_keys("shop")) == [key_id]
    with pytest.raises(NotFoundError, match="holdfast keys list"):
        store.revoke_key("shop", other, actor="me")
    assert list(store.usable_keys("other")) == [other]


@pytest.mark.parametrize("key_id", ["", "0" * 12, "x' OR 1=1 --", "\x00", "\ud800", "k" * 999])
def test_unknown_keys_cannot_be_revoked(store: StateStore, key_id: str) -> None:
    with pytest.raises(NotFoundError, match="there is no key"):
        store.revoke_key("shop", key_id, actor="me")


@pytest.mark.parametrize(
    ("name", "role", "said"),
    [
        ("", "read", "name"),
        ("x" * 101, "read", "name"),
        ("a\nb", "read", "name"),
        ("\ud800", "read", "name"),
        ("crm", "reader", "did you mean 'read'"),
    ],
)
def test_names_and_roles_are_checked(store: StateStore, name: str, role: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        store.create_key("shop", name, role, actor="me")
    assert store.keys("shop") == []


def test_a_role_of_a_newer_version_is_no_role(store: StateStore) -> None:
    create(store)
    with writing(store.engine) as session:
        session.execute(text("UPDATE api_keys SET role = 'emperor'"))
    assert store.usable_keys("shop") == {}


def test_the_latest_use_stays(store: StateStore) -> None:
    key_id, _ = create(store)
    assert store.keys("shop")[0].last_used_at is None
    for minute in (3, 5, 4):  # processes write in any order
        store.mark_used({key_id: START + timedelta(minutes=minute), "gone": START})
    assert store.keys("shop")[0].last_used_at == START + timedelta(minutes=5)


def test_what_was_done_with_keys_is_logged_in_order(store: StateStore) -> None:
    key_id, _ = create(store)
    store.revoke_key("shop", key_id, actor="key y")
    with pytest.raises(NotFoundError):
        store.revoke_key("shop", "0" * 12, actor="me")
    store.log_admin("shop", "key y", "GET /v1/admin/keys", "", "refused")
    store.log_admin("other", "key z", "GET /v1/admin/keys", "", "done")
    lines = [(a.actor, a.action, a.subject, a.outcome) for a in store.admin_log("shop")]
    assert lines == [
        ("key y", "GET /v1/admin/keys", "", "refused"),
        ("me", "revoke key", "0" * 12, "failed"),
        ("key y", "revoke key", key_id, "done"),
        ("me", "create key", key_id, "done"),
    ]
    assert len(store.admin_log("shop", limit=2)) == 2
    assert store.admin_log("shop")[0].at > store.admin_log("shop")[-1].at
