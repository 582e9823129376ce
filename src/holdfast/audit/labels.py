"""(c) Label hygiene: what is known when, and whether labels are of the declared window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holdfast.audit import label_windows
from holdfast.audit.ends import Ends
from holdfast.audit.names import fix
from holdfast.audit.report import Finding, Note, Outcome
from holdfast.audit.subject import Subject, moment, times
from holdfast.clock import iso, naive, utc

CHECK = "labels"


def check(subject: Subject, population: pa.Table, ends: Ends) -> Outcome:
    """States, labels and their availability, of every snapshot read.

    Parameters
    ----------
    population : what they must be (`holdfast.audit.recompute.populations`)
    """
    findings = [*_maturity(subject), *_availability(subject), *_counts(subject)]
    findings += _silence(subject, ends) or _past_the_extract(subject)
    findings += label_windows.windows(subject, population, ends)
    label = subject.config.data.label
    notes = []
    immature = [c for c in subject.cutoffs if not c.matured(subject.known_as_of, subject.complete_through)]
    if immature:
        what = (
            f"{len(immature)} cutoffs, from {iso(immature[0].at)}, have no labels yet: they neither train nor measure"
        )
        notes.append(Note(CHECK, "data.cutoffs", what))
    if not label.lead.is_zero:
        notes.append(Note(CHECK, "data.label.lead", f"labels count from {label.lead} after the cutoff"))
    looked = f"states and labels of {subject.stored.num_rows:,} snapshots at {len(subject.cutoffs)} cutoffs"
    return Outcome(looked, findings, notes)


def _maturity(subject: Subject) -> list[Finding]:
    """A label is there if and only if it could be known."""
    by = min(subject.known_as_of, subject.complete_through)
    late = [c for c in subject.cutoffs if c.label_available_at > by]
    at = times(subject.stored.column("cutoff"))
    early = np.isin(at, np.array([moment(c.at) for c in late], dtype="datetime64[us]"))
    labelled = np.asarray(pc.is_valid(subject.stored.column("label")).to_numpy())
    matured = np.asarray(pc.equal(subject.stored.column("state"), "matured").to_numpy(zero_copy_only=False), dtype=bool)
    found: list[Finding] = []
    filled = np.flatnonzero(early & (labelled | matured))
    if len(filled):
        known = {moment(c.at): c.label_available_at for c in late}
        rows = [{**row, "label_available_at": known[moment(row["cutoff"])]} for row in _rows(subject, filled)]
        zeros = int((subject.stored.column("label").take(pa.array(filled)).to_numpy(zero_copy_only=False) == 0).sum())
        what = (
            f"{len(filled):,} snapshots have a label ({zeros:,} of them zero) although it is known only after "
            f"{iso(by)}, which is as far as the dataset knows"
        )
        found.append(_finding("immature-label-filled", "label", what, len(filled), len(at), rows))
    odd = np.flatnonzero((labelled != matured) & ~early)
    if len(odd):
        what = f"{len(odd):,} snapshots are matured without a label, or have one without being matured"
        found.append(_finding("label-differs", "state", what, len(odd), len(at), _rows(subject, odd)))
    return found


def _availability(subject: Subject) -> list[Finding]:
    """label_available_at is that of the cutoff, for every snapshot, in the parts as in the manifest."""
    due = {moment(c.at): moment(c.label_available_at) for c in subject.cutoffs}
    at, said = times(subject.stored.column("cutoff")), times(subject.stored.column("label_available_at"))
    cutoffs, number = np.unique(at, return_inverse=True)
    expected = np.array([due[c] for c in cutoffs], dtype="datetime64[us]")[number] if len(at) else said
    wrong = np.flatnonzero(said != expected)
    found: list[Finding] = []
    if len(wrong):
        rows = [
            {**row, "stored": utc(said[i].astype(object)) if not np.isnat(said[i]) else None,
             "must_be": utc(expected[i].astype(object))}
            for i, row in zip(wrong, _rows(subject, wrong), strict=False)
        ]  # fmt: skip
        what = f"{len(wrong):,} snapshots say another label_available_at than window, grace and delay give"
        found.append(_finding("label-available-at-wrong", "label_available_at", what, len(wrong), len(at), rows))
    manifest = {c.cutoff: c.label_available_at for c in subject.dataset.manifest.cutoffs}
    odd = [c for c in subject.cutoffs if manifest[c.at] != c.label_available_at]
    if odd:
        rows = [{"cutoff": c.at, "manifest": manifest[c.at], "must_be": c.label_available_at} for c in odd]
        what = f"the manifest says another label_available_at at {len(odd)} cutoffs"
        found.append(_finding("label-available-at-wrong", "manifest.json", what, len(odd), len(subject.cutoffs), rows))
    return found


def _silence(subject: Subject, ends: Ends) -> list[Finding]:
    """Labels that count as complete for a time in which the source of the label says nothing at all."""
    label = subject.config.data.label
    matured = [c for c in subject.cutoffs if c.matured(subject.known_as_of, subject.complete_through)]
    if not matured or not len(ends.all):
        return []
    reach = naive(max(c.label_window.end for c in matured))
    told = np.sort(ends.all[ends.all < np.datetime64(reach, "us")])
    if len(told) < FEW:
        return []
    last = told[-1]
    gap = float((np.datetime64(reach, "us") - last) / DAY)
    before = told[told > last - 365 * DAY]
    gaps = np.diff(np.append(before[:1], before)) / DAY
    span = max(float((last - before[0]) / DAY), 1.0)
    expected = len(before) / span * gap
    if not (gap > MIN_SILENCE and gap > 3 * float(gaps.max(initial=0.0)) and expected > MIN_EXPECTED):
        return []
    what = (
        f"label windows up to {iso(utc(reach))} count as complete, but the last {ends.what} known is of "
        f"{iso(utc(last.astype(object)))}: about {expected:,.0f} were to be expected in the {gap:.0f} days after it"
    )
    until = [c for c in matured if naive(c.label_window.end) > last.astype(object)]
    rows = [
        {"cutoff": c.at, "window_end": c.label_window.end, "label_available_at": c.label_available_at} for c in until
    ]
    where = "data.complete_through"
    return [_finding("immature-label-filled", where, what, len(until), len(matured), rows, label.churn)]


def _past_the_extract(subject: Subject) -> list[Finding]:
    """Labels said to be known at a time of which no table has a single row."""
    matured = [c for c in subject.cutoffs if c.matured(subject.known_as_of, subject.complete_through)]
    past = [c for c in matured if c.label_window.end > subject.watermark + timedelta(days=NO_ROW_AT_ALL)]
    if not past:
        return []
    what = (
        f"{len(past)} label windows reach past {iso(subject.watermark)}, by when every row of every table was available"
    )
    rows = [{"cutoff": c.at, "window_end": c.label_window.end, "last_row": subject.watermark} for c in past]
    return [_finding("immature-label-filled", "data.known_as_of", what, len(past), len(matured), rows)]


FEW, MIN_SILENCE, MIN_EXPECTED = 30, 3.0, 10.0
"""With 10 expected, silence comes by chance once in 20,000 (Poisson); the longest gap before guards seasons."""
NO_ROW_AT_ALL = 32
"""Tables may be written once a month."""
DAY = np.timedelta64(1, "D")


def _counts(subject: Subject) -> list[Finding]:
    """The manifest's counts, and cutoffs that hold churners alone."""
    if subject.kept is not None:
        return []
    found: list[Finding] = []
    at = times(subject.stored.column("cutoff"))
    labels = subject.stored.column("label").to_numpy(zero_copy_only=False).astype(float)
    wrong: list[dict[str, Any]] = []
    alone: list[dict[str, Any]] = []
    for count in subject.dataset.manifest.cutoffs:
        mine = at == moment(count.cutoff)
        n, positives = int(mine.sum()), int((labels[mine] == 1).sum())
        known = int((~np.isnan(labels[mine])).sum())
        if (n, positives, known) != (count.snapshots, count.positives, count.states.get("matured", 0)):
            wrong.append(
                {"cutoff": count.cutoff, "snapshots": n, "manifest_snapshots": count.snapshots, "positives": positives,
                 "manifest_positives": count.positives}
            )  # fmt: skip
        if known and positives == known and known >= FEW_ALONE:
            alone.append({"cutoff": count.cutoff, "snapshots": known, "positives": positives})
    if wrong:
        what = f"the files hold other numbers of snapshots or churners than the manifest at {len(wrong)} cutoffs"
        found.append(_finding("dataset-differs", "manifest.json", what, len(wrong), len(subject.cutoffs), wrong))
    if alone:
        what = f"{len(alone)} cutoffs hold nobody but churners"
        found.append(_finding("only-positives", "population", what, len(alone), len(subject.cutoffs), alone))
    return found


FEW_ALONE = 10


def _rows(subject: Subject, numbers: Any) -> list[dict[str, Any]]:
    some = subject.stored.select(["customer_id", "cutoff", "state", "label"]).take(pa.array(numbers[:5]))
    found: list[dict[str, Any]] = some.to_pylist()
    return found


def _finding(
    name: str, where: str, what: str, count: int, of: int, rows: Sequence[Mapping[str, Any]], detail: str = ""
) -> Finding:
    said = f"{what} (churn: {detail})" if detail else what
    return Finding(name, CHECK, "high", where, said, fix(name), count, of, tuple(rows))
