"""Without a key only requests that name this machine are answered: a page that leads its name here reads nothing."""

from __future__ import annotations

from holdfast.api.loopback import is_loopback, is_named_loopback

OURS = (b"localhost", b"LOCALHOST:8000", b"127.0.0.1", b"127.0.0.1:8000", b"127.9.9.9:1", b"[::1]", b"[::1]:8000")
OTHERS = (
    b"", b"evil.example", b"evil.example:8000", b"localhost.evil.example", b"127.0.0.1.evil.example", b"0.0.0.0",
    b"::1", b"[::1]x", b"[::2]", b"10.0.0.1", b"localhost:", b"localhost:8000:1", b"user@localhost", b"\xff", b"127.1",
)  # fmt: skip


def test_which_names_are_this_machine() -> None:
    assert all(map(is_named_loopback, OURS))
    assert not [host for host in OTHERS if is_named_loopback(host)]
    assert is_loopback("::1")


def test_another_name_needs_a_key(api) -> None:
    for host in OURS:
        assert api.get("/v1/customers/C-0001", headers={"host": host.decode()}).status_code == 200
    for host in (b"evil.example", b"localhost.evil.example:8000"):
        answer = api.get("/v1/customers/C-0001", headers={"host": host.decode()})
        assert (answer.status_code, answer.json()["type"]) == (421, "urn:holdfast:other-host")
        assert "probability" not in answer.text
        assert api.get("/healthz", headers={"host": host.decode()}).status_code == 200
