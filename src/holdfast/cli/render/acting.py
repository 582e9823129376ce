"""Reports of the verbs that act."""

from __future__ import annotations

from typing import Any

from holdfast.cli.render.learning import train
from holdfast.cli.render.parts import bar, count, counted, facts, money, note, share, table, title

Report = dict[str, Any]

STATUS = {
    "contact": "contact",
    "holdout": "left alone (holdout)",
    "over_budget": "over budget",
    "no_action": "no action",
}


def score(report: Report) -> list[Any]:
    return [
        title(
            f"Scored {count(report['customers'])} customers at {report['cutoff']}", f"version {report['model_version']}"
        ),
        *scored(report),
        facts({"files": report["path"]}),
    ]


def scored(report: Report) -> list[Any]:
    """Tiers and the most frequent first reasons."""
    customers = report["customers"] or 1
    tiers = ", ".join(f"{n} {count(c)} ({share(c / customers)})" for n, c in report["tiers"].items())
    rows = [(r["label"], share(r["share"]), bar(r["share"])) for r in report["top_reasons"]]
    return [
        facts(
            {
                "expected": f"{count(report['expected_churners'])} to leave within the horizon "
                f"({share(report['mean_probability'], 2)} on average)",
                "tiers": tiers,
            }
        ),
        table(("first reason", "customers", ""), rows, right=("customers",)),
    ]


def explain(report: Report) -> list[Any]:
    rows = [
        (
            r["label"], "unknown" if r["value"] is None else r["value"], r["typical"], r["direction"],
            f"{r['contribution']:+.3f}",
        )
        for r in report["reasons"]
    ]  # fmt: skip
    decision = report["decision"]
    said = {
        "probability": f"{share(report['probability'])} to leave within the horizon",
        "tier": f"{report['tier']}; tenth {report['decile']} of ten (1 is the riskiest)",
    }
    if decision:
        said |= {
            "value": f"{count(decision['clv'])} over the horizon if kept; segment {decision['segment']}",
            "decision": f"{STATUS.get(decision['status'], decision['status'])}: {decision['why']}",
        }
    columns = ("reason", "this customer", "typical", "risk", "log-odds")
    return [
        title(f"Customer {report['customer_id']}", f"at {report['cutoff']}, version {report['model_version']}"),
        facts(said),
        table(columns, rows, right=("this customer", "typical", "log-odds"))
        if rows
        else note("Nothing raises the risk."),
    ]


def decide(report: Report) -> list[Any]:
    return [
        title(f"Decided for {count(report['customers'])} customers at {report['cutoff']}"),
        *decided(report),
        facts({"files": report["path"]}),
    ]


def decided(report: Report) -> list[Any]:
    """What is at stake, what is spent and won, and on whom."""
    currency = report.get("currency", "")
    budget, holdout, between = report["budget"], report["holdout"], report["expected_value_interval"]
    won = money(report["expected_value"], currency)
    if between:
        won += f" (95% interval {between[0]:,.0f} to {between[1]:,.0f})"
    limit = "no limit" if budget["limit"] is None else f"of {money(budget['limit'], currency)}"
    rows = [
        (r["segment"], r["action"], STATUS.get(r["status"], r["status"]), count(r["customers"]), count(r["cost"]),
         count(r["expected_value"]))
        for r in report["table"] if r["status"] in ("contact", "holdout")
    ]  # fmt: skip
    effects = [f"{name} {_effect(effect)}" for name, effect in report["effects"].items()]
    return [
        facts(
            {
                "at stake": f"{money(report['expected_loss'], currency)} expected loss",
                "spent": f"{money(report['cost'], currency)} {limit}",
                "expected gain": f"{won}, costs taken off",
                "contacted": f"{count(report['contacted'])}, and {count(holdout['customers'])} left alone at random",
                "effects": "; ".join(effects),
            }
        ),
        table(("segment", "action", "status", "customers", "cost", "expected value"), rows,
              right=("customers", "cost", "expected value")),
    ]  # fmt: skip


def _effect(effect: Report) -> str:
    source = effect.get("source") or ("measured" if effect.get("measured") else "assumed")
    between = f" ({effect['low']:.0%} to {effect['high']:.0%})" if effect.get("low") is not None else ""
    return f"keeps {effect['retention']:.0%}{between}, {source}"


def materialize(report: Report) -> list[Any]:
    return [
        title(f"Generation {report['generation']} serves"),
        facts(
            {
                "customers": count(report["customers"]),
                "cutoff": report["cutoff"],
                "model": f"version {report['model_version']}",
                "file": report["path"],
            }
        ),
    ]


def verified(report: Report) -> list[Any]:
    """What serves is what is computed again."""
    return [
        title(f"Generation {report['generation']} is what it should be", f"at {report['cutoff']}"),
        facts({"compared": f"{report['summary']}, bit for bit", "model": f"version {report['model_version']}"}),
        *(note(f"Not verifiable: {why}.") for why in report["unverifiable"]),
    ]


def export(report: Report) -> list[Any]:
    return [
        title(f"Exported {count(report['customers'])} customers at {report['cutoff']}"),
        facts(
            {
                "model": f"version {report['model_version']}",
                "columns": ", ".join(report["columns"]),
                "file": report["path"],
            }
        ),
    ]


def monitor(report: Report) -> list[Any]:
    return [
        title(f"Monitoring of version {report['model_version']} at {report['cutoff']}"),
        *monitored(report),
        facts({"files": report["path"]}),
    ]


def monitored(report: Report) -> list[Any]:
    """Quality, drift, performance, and what they ask for."""
    quality, drift, performance, triggers = (report[k] for k in ("quality", "drift", "performance", "triggers"))
    why = "; ".join(r["message"] for r in triggers["reasons"])
    said: list[tuple[str, object]] = []
    if quality:
        said.append(("quality", f"{count(quality['rows'])} rows, {counted(len(quality['findings']), 'finding')}"))
        said += [("", f"{f['severity']}: {f['where']}: {f['what']}") for f in quality["findings"][:5]]
    if drift:
        said.append(("drift", _drift(drift)))
    said.append(("performance", _performance(performance)))
    said += _parity(report["parity"], report["parity_failed"])
    said.append(("retrain", f"yes: {why}" if triggers["retrain"] else "no"))
    return [facts(said)]


def _parity(parity: Report | None, failed: str) -> list[tuple[str, object]]:
    if parity is None:
        return [("parity", failed)]
    return [("parity", parity["summary"]), *(("", f"not verifiable: {why}") for why in parity["unverifiable"][:5])]


def _drift(drift: Report) -> str:
    drifted = (r for r in drift["rows"] if r["verdict"] == "drifted" and r["what"] != "score")
    worst = sorted(drifted, key=lambda r: -r["psi"])[:3]
    score = next((r for r in drift["rows"] if r["what"] == "score"), None)
    words = f"{len(drift['drifted'])} of {drift['judged']} features"
    if worst:
        words += " (" + ", ".join(f"{r['what']} of {r['name']} PSI {r['psi']:.2f}" for r in worst) + ")"
    return words + (f"; score PSI {score['psi']:.3f}, {score['verdict']}" if score else "")


def _performance(performance: Report | None) -> str:
    if performance is None:
        return "no scores have matured yet"
    if not performance["enough"] or performance["log_loss"] is None:
        return f"no verdict: {performance['why_not']}"
    return f"log loss {performance['log_loss']:.4f} on {count(performance['rows'])} matured scores"


def retrain(report: Report) -> list[Any]:
    if not report["triggered"]:
        return [title("Nothing asks for retraining"), note("holdfast retrain --force retrains all the same.")]
    parts: list[Any] = [
        title("Retrained"),
        facts([("because", why) for why in report["why"]]),
        *train(report["train"]),
    ]
    return parts + (materialize(report["materialize"]) if report["materialize"] else [])
