"""What a card says, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.evaluation.names import name_of, ordered
from holdfast.training.card.about import data, gate, intended, limits, made, says, slice_words
from holdfast.training.card.data import Body, CardData
from holdfast.training.card.figures import number, rows_of, with_interval
from holdfast.training.card.parts import Block, Bullets, Plot, Plots, Section, Share, Shares, Table, Words

TOP_SLICES = 12
OWN_PLACE = ("metrics", "by_cutoff", "slices", "reliability", "worse_slices", "new_customers")
"""Keys of the test's metrics that have a place of their own on the card; other figures are listed."""
SLICE_METRICS = ("roc_auc", "lift_at_10", "observed_expected")
COUNTS = ("n", "positives", "base_rate")


def sections(card: CardData) -> list[Section]:
    """The card, top to bottom."""
    return [
        says(card),
        intended(card),
        Section("How good it is", list(_unseen(card))),
        Section("By cutoff", list(_by_cutoff(card))),
        *_slices(card),
        Section("What moves it", list(_moves(card))),
        limits(card),
        data(card),
        made(card),
        *gate(card),
    ]


def _unseen(card: CardData) -> Iterator[Block]:
    test = card.metrics["test"]
    where = (
        "later than any it was trained on"
        if card.timed
        else "each of a customer that its model never saw, with the settings that did best on other customers"
    )
    fitted_again = (
        " They are of the model before it was fitted again on everything that had matured (how it was made, below)."
        if "refit" in card.metrics
        else ""
    )
    yield Words(
        f"{test['n']:,} snapshots it has not seen, {where}; {test['positives']:,} churners (base rate "
        f"{test['base_rate']:.4f}). Intervals are 95%, from a bootstrap that draws customers.{fitted_again}"
    )
    others = {k: v for k, v in test.items() if k not in (*OWN_PLACE, *COUNTS, *test["metrics"])}
    rows = [*rows_of(test["metrics"]), *rows_of(others)]
    yield Table(("metric", "value", "95% interval"), rows)
    yield Plots(tuple(_plots(card)))
    if (new := test.get("new_customers")) is not None:
        yield Words(
            f"Customers of whom no snapshot was trained on: {new['n']:,} snapshots, {new['positives']:,} churners."
            + (f" Not measured apart: {new['why']}." if "why" in new else "")
        )
        if metrics := new.get("metrics"):
            yield Table(("metric", "value", "95% interval"), list(rows_of(metrics)))


def _plots(card: CardData) -> Iterator[Plot]:
    test = card.metrics["test"]
    metrics = test["metrics"]
    if 0 < test["positives"] < test["n"]:
        yield Plot(
            "roc",
            "ROC",
            "How many churners are found for how many stayers pointed out; area under it "
            f"{with_interval(metrics.get('roc_auc'))}. The diagonal is chance.",
        )
        yield Plot(
            "precision_recall",
            "Precision and recall",
            "Of those pointed out, how many do leave; average precision "
            f"{with_interval(metrics.get('average_precision'))}. The dashed line is the base rate, "
            f"{test['base_rate']:.4f}; the first 1% is not shown.",
        )
        yield Plot(
            "lift",
            "Lift",
            f"How much better than contacting at random; {with_interval(metrics.get('lift_at_10'), 2)} among the top "
            "10%. The dashed line is chance; the first 1% is not shown.",
        )
    yield Plot(
        "reliability",
        "Reliability",
        "Whether a predicted 10% means one in ten, in groups of equal size, with Wilson's 95% intervals. On the "
        f"diagonal probabilities are right: {test['mean_probability']:.4f} predicted on average, "
        f"{test['base_rate']:.4f} observed.",
    )
    if card.profit is not None and len(card.profit):
        best = card.profit[card.profit[:, 1].argmax()]
        money = f"{best[1]:,.2f} {card.currency}".rstrip()
        yield Plot(
            "profit",
            "Profit",
            f"Profit per customer of the base, by share contacted, best value for money first: at most {money}, at "
            f"{best[0]:.1%}. By the campaign's declared costs and effects, which are not measured here.",
        )


def _by_cutoff(card: CardData) -> Iterator[Block]:
    entries: Sequence[Body] = card.metrics["test"]["by_cutoff"]
    if any("metrics" in entry for entry in entries):
        lines = "Lines are 95% intervals; dashed is"
        yield Plots(
            (
                Plot("cutoff_roc_auc", "ROC-AUC by cutoff", f"{lines} chance."),
                Plot("cutoff_average_precision", "Average precision by cutoff", f"{lines} the base rate."),
            )
        )
    names = ordered({name: None for entry in entries for name in entry.get("metrics", {})})
    rows = []
    for entry in entries:
        found: Mapping[str, Any] = entry.get("metrics", {})
        figures = [with_interval(found.get(name)) for name in names]
        rows.append((entry["cutoff"], number(entry["n"]), number(entry["positives"]), *figures))
    yield Table(("cutoff", "snapshots", "churners", *(name_of(name) for name in names)), rows)
    if any("metrics" not in entry for entry in entries):
        yield Words("Where nobody left, or everybody, a ranking cannot be measured.")


def _slices(card: CardData) -> Iterator[Section]:
    test = card.metrics["test"]
    blocks: list[Block] = []
    for column, found in sorted(test.get("slices", {}).items()):
        kept = found["slices"][:TOP_SLICES]
        names = [n for n in SLICE_METRICS if any(n in s["metrics"] for s in kept)]
        rows = [
            (
                s["value"], number(s["n"]), number(s["positives"]), f"{s['base_rate']:.4f}", f"{s['mean_p']:.4f}",
                *(with_interval(s["metrics"].get(n), 2 if n.startswith("lift") else 3) for n in names),
            )
            for s in kept
        ]  # fmt: skip
        if rows:
            blocks.append(
                Table((column, "snapshots", "churners", "left", "predicted", *(name_of(n) for n in names)), rows)
            )
        left_out = len(found["slices"]) - len(rows) + found.get("values_left_out", 0)
        if left_out:
            blocks.append(Words(f"{column}: {left_out:,} more values, too small to measure or beyond the largest."))
    if blocks:
        yield Section("By group", [*_worse(test), *blocks])


def _worse(test: Body) -> Iterator[Block]:
    """Which groups are materially worse, by name."""
    if (worse := test.get("worse_slices")) is None:
        return
    what = (
        f"calibration is off by more than {worse['calibration_margin']:.0%}, or recall lower by more than "
        f"{worse['recall_margin']:.2f} (level {worse['level']:g}, corrected for all that were looked at)"
    )
    if worse["found"]:
        yield Words(f"Groups whose {what}:")
        yield Bullets(tuple(f"{slice_words(found)}." for found in worse["found"]))
    else:
        yield Words(f"There is no group whose {what}.")


def _moves(card: CardData) -> Iterator[Block]:
    if not card.importance:
        yield Words("Not measured.")
        return
    yield Words("Share of the mean absolute contribution (exact, in log-odds), by measure:")
    yield Shares([Share(i["label"], i["share"], i.get("low"), i.get("high")) for i in card.importance])
    if not card.effects:
        return
    yield Plots(
        tuple(Plot(f"strip_{i}", e["label"], "") for i, e in enumerate(card.effects)),
        rows="Bars are snapshots, taller where there are more: to the right they raise the log-odds of leaving, to the "
        "left they lower them; blue where the value is low, orange where it is high, grey where it has no order.",
    )
    numbers = [(i, e) for i, e in enumerate(card.effects) if e["kind"] == "number"]
    if numbers:
        yield Words("By value: the line is the median, the band holds 80% of the snapshots with such a value.")
        yield Plots(tuple(Plot(f"dependence_{i}", e["label"], _unknown(e["dependence"])) for i, e in numbers))
    for effect in card.effects:
        if effect["kind"] != "number":
            rows = [
                (_level(b["value"]), number(b["n"]), f"{b['median']:+.3f}", f"{b['low']:+.3f} to {b['high']:+.3f}")
                for b in effect["dependence"]
            ]
            yield Table((effect["label"], "snapshots", "adds to log-odds", "80% of them"), rows)


def _level(value: str | None) -> str:
    return "(unknown)" if value is None else str(value)


def _unknown(bands: Sequence[Body]) -> str:
    """What an unknown value adds, where some are."""
    found = [band for band in bands if band["value"] is None]
    return f"Where unknown: {found[0]['median']:+.3f}, in {found[0]['n']:,} snapshots." if found else ""
