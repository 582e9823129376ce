"""(c) Labels that are not those of the declared window, and the window that they are of.

Of inactivity nearly every customer has an event before the window and one after it, so a single label says little of
why it is wrong. All wrong labels together do: the one window that gives most of them is looked for, day by day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.audit.ends import Ends
from holdfast.audit.names import fix
from holdfast.audit.report import Finding
from holdfast.audit.subject import Subject, moment
from holdfast.clock import iso, naive
from holdfast.evaluation.arrays import IntArray

CHECK = "labels"
LOOK_BACK = timedelta(days=62)
"""A label window that opens early is looked for so far before the cutoff."""
LOOK_AHEAD = 100
"""One that closes late, so many days after its end."""
MOST = 200
"""Differing snapshots of each kind that are explained; all are counted."""
MOSTLY, FEW = 0.8, 10
"""One window names the mistake where it gives four in five of the wrong labels, and ten at least."""
DAY = np.timedelta64(1, "D")


def windows(subject: Subject, population: pa.Table, ends: Ends) -> list[Finding]:
    """Labels that are not what the declared window gives, and the window that gives them.

    Parameters
    ----------
    population : what they must be (`holdfast.audit.recompute.populations`)
    """
    joined = _joined(subject, population)
    both = pc.and_(pc.is_valid(joined.column("stored")), pc.not_equal(joined.column("due_state"), "immature"))
    labelled = joined.filter(both)
    stored = labelled.column("stored").to_numpy()
    due = labelled.column("due").to_numpy(zero_copy_only=False).astype(float)
    differ = np.flatnonzero(stored != due)  # NaN is in the lead: it differs
    if not len(differ):
        return []
    rng = subject.rng("labels")
    some = np.sort(rng.choice(differ, min(len(differ), MOST), replace=False))
    rows = labelled.take(pa.array(some)).to_pylist()
    cutoff_of = {naive(c.at): c for c in subject.cutoffs}
    opens, closes = ([naive(getattr(cutoff_of[r["cutoff"]].label_window, k)) for r in rows] for k in ("start", "end"))
    told = ends.of([r["customer_id"] for r in rows])
    facts = [told.get(r["customer_id"], []) for r in rows]
    shows = np.array([r["stored"] == int(ends.churned) for r in rows])
    meant = _meant(facts, shows, opens, closes)
    named: dict[str, list[dict[str, Any]]] = {}
    for i, row in enumerate(rows):
        name, when = _one(shows[i], facts[i], opens[i], closes[i])
        name = meant[0] if meant is not None and meant[2][i] else name
        named.setdefault(name, []).append(
            {"customer_id": row["customer_id"], "cutoff": row["cutoff"], "stored": row["stored"], "must_be": row["due"],
             "window": f"{iso(opens[i])} to {iso(closes[i])}", ends.what: when}
        )  # fmt: skip
    found: list[Finding] = []
    for name, evidence in _merged(named).items():
        about = round(len(evidence) / len(rows) * len(differ))
        what = f"about {about:,} labels are not those of the declared window"
        if meant is not None and name == meant[0]:
            what += f": they are those of one that {meant[1]}"
        found.append(
            Finding(name, CHECK, "high", "label", what, fix(name), about, len(stored), tuple(evidence))
        )  # fmt: skip
    return found


def _joined(subject: Subject, population: pa.Table) -> pa.Table:
    """The snapshots that are stored and must be, with the stored label and state and the due ones."""
    keys = ["customer_id", "cutoff"]
    stored = subject.stored.select([*keys, "label", "state"]).rename_columns([*keys, "stored", "stored_state"])
    due = population.select([*keys, "label", "state"]).rename_columns([*keys, "due", "due_state"])
    found = stored.join(due, keys, join_type="inner")
    return found.sort_by([("cutoff", "ascending"), ("customer_id", "ascending")])  # a join's order is any


Meant = tuple[str, str, Any]
"""The name of the mistake, the window in words, and (n,) which labels it gives."""


def _meant(
    facts: Sequence[Sequence[datetime]], shows: Any, opens: Sequence[datetime], closes: Sequence[datetime]
) -> Meant | None:
    """The window, so many days off at either end, that gives most of the wrong labels; None where none gives enough.

    Parameters
    ----------
    facts : of each label the times of the ends (or events)
    shows : (n,) whether the stored label says that one of them is in the window
    """
    if len(facts) < FEW:
        return None
    back, never = -LOOK_BACK.days, np.int64(10**6)
    ahead = range(back, LOOK_AHEAD + 1)
    later = np.array(ahead)
    length = np.array([(moment(b) - moment(a)) // DAY for a, b in zip(opens, closes, strict=True)], dtype=np.int64)
    from_open: list[IntArray] = []
    for times, start in zip(facts, opens, strict=True):
        # Of a fact, only the day counts: floor is its whole days after the window opens.
        from_open.append(np.sort(np.array([(moment(t) - moment(start)) // DAY for t in times], dtype=np.int64)))
    best: tuple[int, int, int, int] | None = None
    right: Any = None
    at = (0, 0)
    for a in ahead:
        places = [np.searchsorted(f, a) for f in from_open]
        first = np.array([f[p] if p < len(f) else never for f, p in zip(from_open, places, strict=True)])
        inside = first[:, None] < length[:, None] + later[None, :]
        fits = inside == shows[:, None]
        hits = fits.sum(axis=0)
        for j in np.flatnonzero(hits == hits.max()):
            b = ahead[j]
            # Of windows that explain as many, the one that is least wrong: one end moved, or both alike, by few days.
            key = (int(hits[j]), -int(a != 0 and b != 0 and a != b), -abs(a) - abs(b), -a)
            if best is None or key > best:
                best, right, at = key, fits[:, j], (a, b)
    assert best is not None  # there are candidates
    if best[0] < max(FEW, MOSTLY * len(facts)) or at == (0, 0):
        return None
    a, b = at
    said = [_days(a, "opens"), _days(b, "closes")]
    name = (
        "label-window-opens-early" if a < 0 else "label-window-opens-late" if a > 0
        else "label-window-closes-late" if b > 0 else "label-window-closes-early"
    )  # fmt: skip
    return name, " and ".join(s for s in said if s), right


def _days(days: int, verb: str) -> str:
    unit = "day" if abs(days) == 1 else "days"
    return f"{verb} {abs(days)} {unit} {'early' if days < 0 else 'late'}" if days else ""


def _one(shows: bool, told: Sequence[datetime], start: datetime, end: datetime) -> tuple[str, datetime | None]:
    """The name of the mistake that gives a single label, and the end (or event) that shows it."""
    before = [t for t in told if start - LOOK_BACK <= t < start]
    after = [t for t in told if t >= end]
    inside = [t for t in told if start <= t < end]
    if shows and before and not inside:
        return "label-window-opens-early", max(before)
    if shows and after and not inside:
        return "label-window-closes-late", min(after)
    if not shows and inside:
        return "label-window-closes-early", max(inside)
    return "label-differs", next(iter([*inside, *before, *after]), None)


def _merged(named: Mapping[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """A window that opens early and keeps its length closes early too: that is one mistake, not two."""
    found = dict(named)
    if "label-window-opens-early" in found:
        for other in ("label-window-closes-early", "label-differs"):
            if other in found and len(found[other]) <= 3 * len(found["label-window-opens-early"]):
                found["label-window-opens-early"] = [*found["label-window-opens-early"], *found.pop(other)]
    return found
