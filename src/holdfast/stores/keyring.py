"""API keys and the log of admin calls, in the state database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import get_args

from sqlalchemy import Engine, or_, select, update
from sqlalchemy.orm import Session

from holdfast.artifacts.keys import ID, ROLES, Key, Role, digest, new_key, parts
from holdfast.errors import NotFoundError, UsageError, did_you_mean, shown
from holdfast.stores.state_engine import reading, writing
from holdfast.stores.state_tables import AdminOutcome, AdminRow, KeyRow

MAX_NAME_CHARS = 100
CREATE, REVOKE = "create key", "revoke key"


class Keyring:
    """The part of the state store that knows which keys the API takes, and who changed that."""

    engine: Engine
    now: Callable[[], datetime]

    def create_key(self, project: str, name: str, role: str, *, actor: str) -> tuple[KeyRow, str]:
        """Make a key; the text returned is the only copy of its secret.

        Parameters
        ----------
        name : what it is for; several keys may have one name, so that they can be changed without a gap

        Raises
        ------
        UsageError
            The name cannot be printed on a line, or there is no such role.
        """
        if role not in ROLES:
            raise UsageError(f"there is no role {shown(role)}", fix=did_you_mean(role, ROLES))
        if not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
            raise UsageError(
                f"{shown(name)} cannot be a key's name", fix=f"Give 1 to {MAX_NAME_CHARS} printable characters."
            )
        key_id, key = new_key()
        kept = digest(parts(key.encode())[1]).hex()
        with writing(self.engine) as session:
            row = KeyRow(key_id=key_id, project=project, name=name, role=role, digest=kept, created_at=self.now())
            session.add(row)
            self._log(session, project, actor, CREATE, key_id, "done")
        return row, key

    def revoke_key(self, project: str, key_id: str, *, actor: str) -> KeyRow:
        """Make a key useless from now on. Revoking it again changes nothing.

        Raises
        ------
        NotFoundError
            There is no such key.
        """
        missing = NotFoundError(f"there is no key {shown(key_id)}", fix="See: holdfast keys list")
        if not ID.fullmatch(key_id):
            raise missing
        with writing(self.engine) as session:
            row = session.get(KeyRow, key_id)
            known = row is not None and row.project == project
            self._log(session, project, actor, REVOKE, key_id, "done" if known else "failed")
            if row is not None and known:
                row.revoked_at = row.revoked_at or self.now()
                return row
        raise missing

    def keys(self, project: str) -> list[KeyRow]:
        """All keys, the newest first."""
        query = select(KeyRow).where(KeyRow.project == project).order_by(KeyRow.created_at.desc(), KeyRow.key_id)
        with reading(self.engine) as session:
            return list(session.scalars(query))

    def usable_keys(self, project: str) -> dict[str, Key]:
        """The keys that are not revoked, by id; a role that a newer Holdfast wrote is no role here."""
        roles: dict[str, Role] = {role: role for role in get_args(Role)}
        return {
            row.key_id: Key(row.key_id, roles[row.role], bytes.fromhex(row.digest))
            for row in self.keys(project)
            if row.revoked_at is None and row.role in roles
        }

    def mark_used(self, used: Mapping[str, datetime]) -> None:
        """Record when keys were last used. Several processes do so: the latest time stays."""
        with writing(self.engine) as session:
            for key_id, at in used.items():
                older = or_(KeyRow.last_used_at.is_(None), KeyRow.last_used_at < at)
                session.execute(update(KeyRow).where(KeyRow.key_id == key_id, older).values(last_used_at=at))

    def log_admin(self, project: str, actor: str, action: str, subject: str, outcome: AdminOutcome) -> None:
        """Add a line to the log of admin calls."""
        with writing(self.engine) as session:
            self._log(session, project, actor, action, subject, outcome)

    def admin_log(self, project: str, *, limit: int = 50) -> list[AdminRow]:
        """Lines of the log of admin calls, newest first."""
        query = select(AdminRow).where(AdminRow.project == project).order_by(AdminRow.id.desc()).limit(limit)
        with reading(self.engine) as session:
            return list(session.scalars(query))

    def _log(
        self, session: Session, project: str, actor: str, action: str, subject: str, outcome: AdminOutcome
    ) -> None:
        session.add(
            AdminRow(project=project, at=self.now(), actor=actor, action=action, subject=subject, outcome=outcome)
        )
