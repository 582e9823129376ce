"""What a card says, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.training.card.about import data, gate, intended, limits, made, says
from holdfast.training.card.data import Body, CardData
from holdfast.training.card.figures import number, rows_of, with_interval
from holdfast.training.card.parts import Block, Plot, Plots, Section, Share, Shares, Table, Words

Points = Sequence[tuple[Any, float]]

TOP_SLICES = 12
OWN_PLACE = ("metrics", "by_cutoff", "slices", "reliability", "worse_slices", "unseen_customers", "profit")
"""Keys of the test's metrics that have a place of their own on the card; other figures are listed."""
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
    where = "later than any it was trained on" if card.timed else "each of a customer that its model never saw"
    yield Words(
        f"{test['n']:,} snapshots it has not seen, {where}; {test['positives']:,} churners (base rate "
        f"{test['base_rate']:.4f}). Intervals are 95%, from a bootstrap that draws customers."
    )
    others = {k: v for k, v in test.items() if k not in (*OWN_PLACE, *COUNTS)}
    rows = [*rows_of(test["metrics"]), *rows_of(others)]
    yield Table(("metric", "value", "95% interval"), rows)
    yield Plots(tuple(_plots(card)))
    if unseen := test.get("unseen_customers"):
        yield Words("Customers of whom no snapshot was trained on:")
        yield Table(("metric", "value", "95% interval"), list(rows_of(unseen)))
    if profit := test.get("profit"):
        yield Words("In money:")
        yield Table(("figure", "value", "95% interval"), list(rows_of(profit)))


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
            f"Profit per customer of the base, by share contacted, riskiest first: at most {money}, at {best[0]:.1%}. "
            "By the campaign's declared costs and effects, which are not measured here.",
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
    rows = []
    for entry in entries:
        found: Mapping[str, Any] = entry.get("metrics", {})
        figures = [with_interval(found.get(name)) for name in ("roc_auc", "average_precision", "log_loss")]
        rows.append((entry["cutoff"], number(entry["n"]), number(entry["positives"]), *figures))
    yield Table(("cutoff", "snapshots", "churners", "ROC-AUC", "average precision", "log loss"), rows)
    if any("metrics" not in entry for entry in entries):
        yield Words("Where nobody left, or everybody, a ranking cannot be measured.")


def _slices(card: CardData) -> Iterator[Section]:
    blocks: list[Block] = []
    for column, found in sorted(card.metrics["test"].get("slices", {}).items()):
        rows = [
            (
                s["value"], number(s["n"]), number(s["positives"]), f"{s['base_rate']:.4f}", f"{s['mean_p']:.4f}",
                with_interval(s["metrics"].get("roc_auc")), with_interval(s["metrics"].get("lift_at_10"), 2),
            )
            for s in found["slices"][:TOP_SLICES]
        ]  # fmt: skip
        if rows:
            head = (column, "snapshots", "churners", "left", "predicted", "ROC-AUC", "lift in the top 10%")
            blocks.append(Table(head, rows))
        left_out = len(found["slices"]) - len(rows) + found.get("values_left_out", 0)
        if left_out:
            blocks.append(Words(f"{column}: {left_out:,} more values, too small to measure or beyond the largest."))
    if blocks:
        yield Section("By group", blocks)


def _moves(card: CardData) -> Iterator[Block]:
    if not card.importance:
        yield Words("Not measured.")
        return
    yield Words("Share of the mean absolute contribution (exact, in log-odds), by measure:")
    yield Shares([Share(i["label"], i["share"], i.get("low"), i.get("high")) for i in card.importance])
    if not card.dependence:
        return
    yield Plots(
        tuple(Plot(f"strip_{i}", d["label"], "") for i, d in enumerate(card.dependence)),
        rows="Each dot is a snapshot of a sample: to the right it raises the log-odds of leaving, to the left it "
        "lowers them; blue where the value is low, orange where it is high, grey where it is a category or unknown.",
    )
    yield Plots(
        tuple(
            Plot(f"dependence_{i}", d["label"], _unknown(d["points"]))
            for i, d in enumerate(card.dependence)
            if d["kind"] == "number"
        )
    )
    for item in card.dependence:
        if item["kind"] != "number":
            yield Table((item["label"], "snapshots", "adds to log-odds"), list(_levels(item["points"])))


def _unknown(points: Points) -> str:
    """What an unknown value adds, where some are."""
    parts = [part for value, part in points if value is None]
    return f"Where unknown: {sum(parts) / len(parts):+.3f} on average." if parts else ""


def _levels(points: Points) -> Iterator[tuple[str, str, str]]:
    """Levels of a category with their number in the sample and the mean of what they add, highest first."""
    parts: dict[str, list[float]] = {}
    for value, part in points:
        parts.setdefault("(unknown)" if value is None else str(value), []).append(part)
    means = {level: sum(found) / len(found) for level, found in parts.items()}
    for level in sorted(means, key=lambda level: (-means[level], level))[:TOP_SLICES]:
        yield level, number(len(parts[level])), f"{means[level]:+.3f}"
