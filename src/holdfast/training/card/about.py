"""What a card says in words: the question, the use, the limits, the data, the making and the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.evaluation.names import name_of, ordered
from holdfast.training.card.data import Body, CardData
from holdfast.training.card.figures import between, number
from holdfast.training.card.parts import Block, Bullets, Facts, Section, Table, Words

CALIBRATION = {
    "identity": "not recalibrated (no calibration map improved its own probabilities on unseen snapshots)",
    "sigmoid": "calibrated by a sigmoid on unseen snapshots",
    "isotonic": "calibrated by isotonic regression on unseen snapshots",
}
EXCLUDED = {
    "notice": "were known to be leaving",
    "ended_but_not_known": "had left, which was not known yet",
    "start_not_known": "were not known to be customers yet",
    "activity_not_known": "were active, which was not known yet",
    "immature": "await their label",
    "in_lead": "left inside the lead",
}
USES = (
    "To rank this business's customers at a cutoff by who is about to leave, and to say what is at stake.",
    "To choose whom to contact within a budget, together with what an action costs and is known to bring.",
    "Not to judge, price or refuse a person, nor for another business or another population than above.",
)
NO_TIME = ("0d", "0m", "0")
MANY_NAMES = 30


def says(card: CardData) -> Section:
    """The question that a probability answers, and when its answer is known."""
    label = card.dataset["label"]
    lead = "" if label.get("lead", "0d") in NO_TIME else f", counted from {label['lead']} after it"
    if label.get("churn") == "inactivity":
        what = f"shows no activity ({label['events']}) for {label['horizon']} from the cutoff on"
    else:
        what = f"leaves within {label['horizon']} of the cutoff"
    rows = [
        ("Question", f"The probability that a customer {what}{lead}."),
        ("Population", _population(label)),
        ("Answer known", _known(label)),
    ]
    if reasons := label.get("reasons"):
        rows.append(("Counts as leaving", f"only ends for these reasons: {reasons}."))
    if where := label.get("where"):
        rows.append(("Counts as activity", f"only events with {where}."))
    return Section("What it says", [Facts(rows)])


def _population(label: Body) -> str:
    if label.get("churn") == "inactivity":
        return f"Customers with activity in the {label['active_within']} days before the cutoff."
    return "Customers at the cutoff who are not known to be leaving."


def _known(label: Body) -> str:
    words = {"grace": "grace for coming back", "delay": "delay for late news"}
    waits = [f"{label[name]} of {what}" for name, what in words.items() if label.get(name, "0d") not in NO_TIME]
    return "At the end of the label window" + (f", plus {' and '.join(waits)}" if waits else "") + "."


def intended(card: CardData) -> Section:
    """What it is for, and what not."""
    return Section("Intended use", [Bullets(USES)])


def limits(card: CardData) -> Section:
    """What it does not know."""
    return Section("Limits", [Bullets(tuple(_limits(card)))])


def _limits(card: CardData) -> Iterator[str]:
    dataset, metrics, test = card.dataset, card.metrics, card.metrics["test"]
    yield (
        "It does not say what contacting does: who would leave is not who would stay if asked. "
        "Only a holdout tells that."
    )
    if card.reconstructed:
        yield (
            "On one extract with few thousand churners, folds differ by luck: a single average precision far above its "
            "interval is luck, or a column that knows the outcome."
        )
    if card.timed:
        tested = metrics["folds"]["final"]["name"]
        yield f"It is measured on {tested} alone: other months may differ, as when prices or competitors change."
    else:
        yield "It is measured on other customers of the same time, not on a later time: how it ages is not known."
    if columns := metrics["end_state"]["columns"]:
        yield f"{len(columns)} of its columns are known only as of the extract and may have changed after the cutoff."
    if test["positives"] < 200:  # an interval of the recall is then about 14 points wide
        yield f"{test['positives']:,} churners are few: read the intervals, not the values."
    final = metrics["folds"]["final"]
    if card.timed and final.get("shared_customers"):
        yield (
            f"{final['shared_customers']:,} customers of the test were also trained on, at earlier cutoffs; new "
            "customers may be predicted less well."
        )
    yield from (f"Worse for {slice_words(found)}." for found in test.get("worse_slices", {}).get("found", ()))
    if dataset["complete_through"] < dataset["known_as_of"]:
        yield f"Who left after {dataset['complete_through']} is not known to it."


def slice_words(found: Body) -> str:
    """A slice with materially worse figures, in words."""
    said = f"{found['column']} = {found['value']}: {name_of(found['metric'])} {number(found['found'])}"
    if found.get("against") is not None:
        said += f", against {number(found['against'])}"
    return f"{said} ({found['n']:,} snapshots, {found['positives']:,} churners)"


def data(card: CardData) -> Section:
    """What it was trained on, and what was left out."""
    dataset = card.dataset
    rows = [
        ("Dataset", str(card.manifest["dataset_id"])),
        ("Known as of", f"{dataset['known_as_of']}; labels complete through {dataset['complete_through']}."),
        (
            "Snapshots",
            f"{dataset['matured']:,} matured snapshots with {dataset['positives']:,} churners, "
            f"{len(dataset['cutoffs'])} cutoffs, {len(dataset['features'])} features.",
        ),
        ("History", _history(dataset)),
        ("Excluded snapshots", _excluded(dataset)),
    ]
    if other := dataset.get("notes", {}).get("left_for_another_reason"):
        rows.append(("Not counted as churn", f"{other:,} snapshots of customers who left for another reason."))
    rows.append(("Excluded features", _unused(card)))
    return Section("Data", [Facts(rows), *_end_state(card.metrics["end_state"])])


def _history(dataset: Body) -> str:
    if dataset["history"] == "reconstructed":
        return f"reconstructed, not recorded: {dataset['reconstructed_why']}"
    return "recorded as it happened."


def _excluded(dataset: Body) -> str:
    """Who is at risk at a cutoff and still not trained on, by reason."""
    counts: dict[str, int] = dict(dataset.get("notes", {}).get("excluded", {}))
    for cutoff in dataset["cutoffs"]:
        for state, n in cutoff.get("states", {}).items():
            if state != "matured":
                counts[state] = counts.get(state, 0) + n
    said = [f"{n:,} {EXCLUDED.get(why, why)}" for why, n in sorted(counts.items()) if n]
    return ("; ".join(said) or "none") + "."


def _unused(card: CardData) -> str:
    read = set(card.features)
    unused = [f["name"] for f in card.dataset["features"] if f.get("name") not in read]
    return f"{len(unused):,} are in the dataset and not in the model: {_listed(unused)}." if unused else "none."


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MANY_NAMES
    return ", ".join(names[:MANY_NAMES]) + (f" and {more:,} more" if more > 0 else "")


def _end_state(found: Body) -> Iterator[Block]:
    columns = found["columns"]
    if not columns:
        yield Words("No end-state column is used: nothing is known only as of the extract.")
        return
    yield Words(
        f"{len(columns)} end-state columns (known only as of the extract, with no history, so a value may have changed "
        f"after the cutoff): {', '.join(columns)}."
    )
    if "with" in found:
        rows = []
        for name, bare in ordered(found["without"]).items():
            whole = found["with"][name]
            rows.append((name_of(name), number(whole["value"]), between(whole), number(bare["value"]), between(bare)))
        yield Table(("metric", "with them", "95% interval", "without them", "95% interval"), rows)


def made(card: CardData) -> Section:
    """The estimator, the folds and the candidates."""
    manifest, folds, calibration = card.manifest, card.metrics["folds"], card.metrics["calibration"]
    final = folds["final"]
    if card.timed:
        tested = f"final test on {final['name']}, touched once."
    else:
        tested = "figures are those of the folds: each customer predicted by a model that never saw her."
    params = ", ".join(f"{k} {v}" for k, v in sorted(manifest["params"].items()))
    libraries = ", ".join(f"{k} {v}" for k, v in sorted(manifest["libraries"].items()))
    rows = [
        ("Estimator", f"{manifest['estimator']}, {CALIBRATION.get(calibration, calibration)}."),
        ("Parameters", f"{params}; seed {manifest['seed']}."),
        ("Trained on", f"{final['train']:,} snapshots."),
        ("Validation", f"{len(folds['validation'])} folds, {folds['kind']}; {tested}"),
        *_fitted_again(card),
        ("Made by", f"holdfast {manifest['code_version']}, {libraries}; configuration {manifest['config_hash'][:12]}."),
    ]  # fmt: skip
    return Section("How it was made", [Facts(rows), *_candidates(card.metrics["candidates"])])


def _fitted_again(card: CardData) -> Iterator[tuple[str, str]]:
    """What serves was fitted on the test's snapshots too, once they had been used to measure it."""
    if (again := card.metrics.get("refit")) is None:
        return
    calibration = CALIBRATION.get(again["calibration"], again["calibration"])
    yield (
        "Fitted again",
        f"on all {again['fold']['train']:,} matured snapshots, with the same parameters, {calibration}; the figures "
        "above are of the model before that, which is kept beside it.",
    )


def _candidates(found: Sequence[Body]) -> Iterator[Block]:
    """Candidates by out-of-fold log loss, with any other figure that is known of them."""
    plain = ("estimator", "imbalance", "calibrator")
    columns = ordered({k: v for c in found for k, v in c.items() if k not in plain and isinstance(v, float)})
    yield Words("Candidates, by out-of-fold log loss; the first was kept:")
    head = ("estimator", "class weights", "calibrator", *(name_of(c) for c in columns))
    rows = [(*(str(c.get(k, "")) for k in plain), *(number(c.get(k), 5) for k in columns)) for c in found]
    yield Table(head, rows, words=3)


def gate(card: CardData) -> Iterator[Section]:
    """What the promotion gate said; nothing in a bundle."""
    verdict = card.verdict
    if verdict is None:
        return
    blocks: list[Block] = [Words("passed" if verdict["passed"] else "said no:")]
    if verdict["reasons"]:
        blocks.append(Bullets(tuple(verdict["reasons"])))
    rows = [(check["name"], "yes" if check["passed"] else "no", check["said"]) for check in verdict["checks"]]
    blocks.append(Table(("check", "passed", "what it saw"), rows))
    yield Section("The gate", blocks)
