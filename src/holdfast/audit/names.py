"""The stable names of findings, what each means, and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping

BUILD_AGAIN = "Build the dataset again (holdfast build --force) from the declared tables, with nothing in between."

FIXES: Mapping[str, str] = {
    # features and what they are computed from
    "unusable-row-used": "The feature code reads rows it must not see: only event_time < cutoff and "
    "available_at < cutoff count.",
    "cutoff-instant-included": "Windows are half-open: compare with event_time < cutoff, never <=.",
    "late-event-used": "Use a row only from when it was available: available_at < cutoff. " + BUILD_AGAIN,
    "correction-used-early": "Keep every version with its own available_at, and use the latest known at the cutoff.",
    "deletion-ignored": "A tombstone known before the cutoff deletes the event.",
    "later-events-used": "Windows end at the cutoff: nothing of the label window may be counted.",
    "later-version-used": "Use the version with valid_from < cutoff that was known before the cutoff.",
    "final-value-copied-back": "Accumulate the value up to each cutoff from events, or leave the column out.",
    "updated-at-churn": "The column is overwritten when customers leave: keep its history, or declare known_at: "
    "extract and leave it out of the features.",
    "end-state-undeclared": "Declare the column known_at: extract, or its table end_state: true: the tag follows it, "
    "and reports show the figures with and without.",
    "target-encoded": "Drop the column. Categories are encoded inside each fold by the model's own encoder.",
    "value-differs": BUILD_AGAIN,
    "feature-undeclared": "Declare the feature in features.yaml, so that it is computed and audited. " + BUILD_AGAIN,
    "dataset-differs": BUILD_AGAIN,
    # labels and the population
    "label-window-opens-early": "The label window is [cutoff + lead, cutoff + lead + horizon); what ended before it is "
    "known, not predicted.",
    "label-window-opens-late": "The label window opens at cutoff + lead: leaving out what comes sooner needs a lead.",
    "label-window-closes-late": "The label window is half-open and as long as the horizon.",
    "label-window-closes-early": "The label window is half-open and as long as the horizon.",
    "label-differs": BUILD_AGAIN,
    "immature-label-filled": "A label is unknown until label_available_at: leave it null, never zero. Check "
    "data.known_as_of and data.complete_through.",
    "label-available-at-wrong": "label_available_at is the label window's end + grace + delay, the same for a cutoff.",
    "population-by-outcome": "The population is who is at risk by what was known at the cutoff, whatever came of them.",
    "population-differs": "The population is start < cutoff <= end, by what was known. " + BUILD_AGAIN,
    "only-positives": "A cutoff must hold everybody at risk, not only those who left.",
    # splits
    "purge-missing": "Train on a cutoff only if its label_available_at is at or before the first test cutoff.",
    "row-wise-split": "Split by cutoff where history is recorded and by customer where it is reconstructed; never "
    "by row.",
    "reconstructed-time-split": "A reconstructed history needs customer-grouped folds: train again with data.history: "
    "reconstructed.",
    "history-looks-reconstructed": "Set data.history: reconstructed and say why in data.reconstructed_why.",
    # suspicion
    "implausible-auc": "Find out when the value is known. Leave the feature out until it is explained.",
    "level-gives-label-away": "Find out when the value is written. Leave the feature out until it is explained.",
    "id-as-feature": "Leave identifiers out of features.attributes.",
    "timestamp-as-feature": "Leave points in time out; tenure, recency and months_until say what a model may know.",
    "knows-the-end": "The value counts down to the customer's end: it was written knowing it. Leave it out.",
    # sources
    "source-backfilled": "Rows known before known_as_of have changed since the build: append corrections with their "
    "own available_at, never overwrite. Then build again.",
    "available-before-event": "An event cannot be known before it happens: check the two columns' meaning.",
    "availability-is-extract-time": "available_at must say when each row was first known, not when it was exported.",
    "end-known-from-start": "end_available_at must say when the end became known.",
}  # fmt: skip


def fix(name: str) -> str:
    """How to mend a finding."""
    return FIXES[name]
