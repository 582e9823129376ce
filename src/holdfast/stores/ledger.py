"""The promotion ledger: who serves, since when, why, and how to go back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from holdfast.errors import NotFoundError, NotReadyError
from holdfast.stores.state_engine import reading, writing
from holdfast.stores.state_tables import CHANGES_CHAMPION, PromotionAction, PromotionRow, VersionRow


class Ledger:
    """The part of the state store that says which version is champion."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self.engine = engine
        self.now = now

    def promote(
        self,
        project: str,
        version: int,
        *,
        actor: str,
        why: str,
        evidence: Mapping[str, Any] | None = None,
        action: Literal["promote", "force"] = "promote",
    ) -> PromotionRow:
        """Make ``version`` the champion. Promoting the champion again adds nothing and returns its line.

        Raises
        ------
        NotFoundError
            There is no such version.
        """
        with writing(self.engine) as session:
            return self._change(session, project, version, action, actor, why, evidence)

    def refuse(
        self, project: str, version: int, *, actor: str, why: str, evidence: Mapping[str, Any] | None = None
    ) -> PromotionRow:
        """Record that the gate said no to ``version``. The champion stays.

        Refusing the same version for the same reason again adds nothing.
        """
        with writing(self.engine) as session:
            _version(session, project, version)
            last = session.scalar(_lines(project).order_by(PromotionRow.id.desc()).limit(1))
            if last is not None and (last.action, last.to_version, last.why) == ("refuse", version, why):
                return last
            return self._add(session, project, version, "refuse", actor, why, evidence)

    def rollback(
        self,
        project: str,
        to_version: int | None = None,
        *,
        actor: str,
        why: str,
        evidence: Mapping[str, Any] | None = None,
    ) -> PromotionRow:
        """Go back to ``to_version``; by default to the champion before this one, each time one further.

        Raises
        ------
        NotReadyError
            There is no champion before.
        NotFoundError
            There is no version ``to_version``.
        """
        with writing(self.engine) as session:
            if to_version is None:
                stack = _stack(session, project)
                if len(stack) < 2:
                    have = f"version {stack[-1]} is the first" if stack else "there is none yet"
                    raise NotReadyError(
                        f"{project} has no earlier champion: {have}", fix="Run: holdfast models list, then promote one."
                    )
                to_version = stack[-2]
            return self._change(session, project, to_version, "rollback", actor, why, evidence)

    def champion(self, project: str) -> VersionRow | None:
        """The version that the ledger says serves."""
        with reading(self.engine) as session:
            stack = _stack(session, project)
            return session.get(VersionRow, (project, stack[-1])) if stack else None

    def champions(self, project: str) -> list[int]:
        """Champions that can be gone back to, the present one last."""
        with reading(self.engine) as session:
            return _stack(session, project)

    def archive(self, project: str, version: int) -> None:
        """Say of ``version`` that it is no longer in use."""
        with writing(self.engine) as session:
            _version(session, project, version).status = "archived"

    def challenge(self, project: str, version: int) -> VersionRow:
        """Make ``version`` the challenger; an earlier one is archived. The champion cannot challenge itself."""
        with writing(self.engine) as session:
            row = _version(session, project, version)
            if row.status != "champion":
                _archive(session, project, "challenger")
                row.status = "challenger"
            return row

    def challenger(self, project: str) -> VersionRow | None:
        """The candidate successor, if there is one."""
        with reading(self.engine) as session:
            return session.scalar(_versions(project).where(VersionRow.status == "challenger"))

    def versions(self, project: str) -> list[VersionRow]:
        """All versions, newest first."""
        with reading(self.engine) as session:
            return list(session.scalars(_versions(project).order_by(VersionRow.version.desc())))

    def version(self, project: str, version: int) -> VersionRow:
        """One version.

        Raises
        ------
        NotFoundError
            There is no such version.
        """
        with reading(self.engine) as session:
            return _version(session, project, version)

    def history(self, project: str, *, limit: int = 50) -> list[PromotionRow]:
        """Lines of the ledger, newest first."""
        with reading(self.engine) as session:
            return list(session.scalars(_lines(project).order_by(PromotionRow.id.desc()).limit(limit)))

    def lines_about(self, project: str, version: int) -> list[PromotionRow]:
        """Lines of the ledger that name ``version`` as the one judged, promoted or gone back to, newest first."""
        with reading(self.engine) as session:
            about = _lines(project).where(PromotionRow.to_version == version)
            return list(session.scalars(about.order_by(PromotionRow.id.desc())))

    def _change(
        self,
        session: Session,
        project: str,
        version: int,
        action: PromotionAction,
        actor: str,
        why: str,
        evidence: Mapping[str, Any] | None,
    ) -> PromotionRow:
        row = _version(session, project, version)
        last = session.scalar(
            _lines(project).where(PromotionRow.action.in_(CHANGES_CHAMPION)).order_by(PromotionRow.id.desc()).limit(1)
        )
        if last is not None and last.to_version == version:
            return last  # the verb was killed after this line and is run again
        line = self._add(session, project, version, action, actor, why, evidence)
        _archive(session, project, "champion")
        row.status = "champion"
        return line

    def _add(
        self,
        session: Session,
        project: str,
        version: int,
        action: PromotionAction,
        actor: str,
        why: str,
        evidence: Mapping[str, Any] | None,
    ) -> PromotionRow:
        stack = _stack(session, project)
        line = PromotionRow(
            project=project,
            at=self.now(),
            actor=actor,
            action=action,
            from_version=stack[-1] if stack else None,
            to_version=version,
            why=why,
            evidence=dict(evidence or {}),
        )
        session.add(line)
        session.flush()
        return line


def _lines(project: str) -> Select[PromotionRow]:
    return select(PromotionRow).where(PromotionRow.project == project)


def _versions(project: str) -> Select[VersionRow]:
    return select(VersionRow).where(VersionRow.project == project)


def _version(session: Session, project: str, version: int) -> VersionRow:
    row = session.get(VersionRow, (project, version))
    if row is None:
        known = list(session.scalars(select(VersionRow.version).where(VersionRow.project == project)))
        fix = f"There are: {', '.join(map(str, sorted(known)[-20:]))}." if known else "Run: holdfast train"
        raise NotFoundError(f"{project} has no version {version}", fix=fix)
    return row


def _stack(session: Session, project: str) -> list[int]:
    """Champions that can be gone back to, the present one last. A rollback takes off what it leaves behind."""
    stack: list[int] = []
    for line in session.scalars(_lines(project).order_by(PromotionRow.id)):
        if line.action not in CHANGES_CHAMPION:
            continue
        if line.action == "rollback" and line.to_version in stack:
            del stack[len(stack) - stack[::-1].index(line.to_version) :]
        else:
            stack.append(line.to_version)
    return stack


def _archive(session: Session, project: str, status: str) -> None:
    for row in session.scalars(_versions(project).where(VersionRow.status == status)):
        row.status = "archived"
