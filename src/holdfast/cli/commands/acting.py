"""Verbs that act: score, explain, decide, export, materialize, monitor, retrain, serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli import words
from holdfast.cli.session import Session, verb
from holdfast.errors import GateRefused, UsageError

CUSTOMERS = "Customers"
OPERATE = "Operate"

CutoffOption = Annotated[
    str | None, typer.Option("--cutoff", metavar="DATE", help="The instant to predict for; by default the latest.")
]


def score(
    session: Session,
    cutoff: CutoffOption = None,
    known_as_of: Annotated[
        str | None, typer.Option("--known-as-of", metavar="DATE", help="Replay what was known then.")
    ] = None,
) -> None:
    """Score every customer active at the cutoff with the champion, and give the reasons."""
    from holdfast.cli.render import acting as render
    from holdfast.pipelines.score import score as run_score

    at, known = words.instant(cutoff, "--cutoff"), words.instant(known_as_of, "--known-as-of")
    with session.recorded() as (workspace, run), session.progress("scoring"):
        with run.step("score"):
            report = run_score(workspace, cutoff=at, known_as_of=known).to_json()
        run.summary = run.summary or report
    session.answer(report, render.score)


def explain(session: Session, customer_id: Annotated[str, typer.Argument(help="A customer's id.")]) -> None:
    """One customer: score, every reason, value, action, and what is not known."""
    from holdfast.cli.render import acting as render
    from holdfast.pipelines.explain import explain as run_explain

    report = run_explain(session.workspace(), customer_id).to_json()
    session.answer(report, render.explain)


def decide(session: Session, cutoff: CutoffOption = None) -> None:
    """What each customer is worth and whom to contact within the budget."""
    from holdfast.cli.render import acting as render
    from holdfast.pipelines.decide import decide as run_decide

    at = words.instant(cutoff, "--cutoff")
    with session.recorded() as (workspace, run), session.progress("deciding"):
        with run.step("decide"):
            report = run_decide(workspace, cutoff=at).to_json()
        run.summary = run.summary or report
    session.answer(report, render.decide)


def materialize(
    session: Session,
    cutoff: CutoffOption = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Write nothing: compute a sample of what serves again, and compare bit for bit."),
    ] = False,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Customers that --verify looks at; 200 by default.")
    ] = None,
) -> None:
    """Write a generation of the online store (features, scores, decisions), then flip the pointer to it.

    With --verify, exit code 1 names what is served otherwise than the tables and the bundle give it.
    """
    from holdfast.cli.render import acting as render

    at = words.instant(cutoff, "--cutoff")
    if verify and at is not None:
        raise UsageError("--verify and --cutoff exclude each other", fix="Leave --cutoff out: it looks at what serves.")
    if sample is not None and not verify:
        raise UsageError("--sample needs --verify", fix="Add --verify, or leave it out.")
    if verify:
        from holdfast.pipelines.parity import SAMPLE, verify_serving

        with session.recorded() as (workspace, run), session.progress("verifying"):
            with run.step("verify"):
                report = verify_serving(workspace, sample=sample or SAMPLE).to_json()
            run.summary = report
        session.answer(report, render.verified)
        return
    from holdfast.pipelines.materialize import materialize as run_materialize

    with session.recorded() as (workspace, run), session.progress("materializing"):
        with run.step("materialize"):
            report = run_materialize(workspace, cutoff=at).to_json()
        run.summary = run.summary or report
    session.answer(report, render.materialize)


def export(
    session: Session,
    cutoff: CutoffOption = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", help="Only customers with this decision: contact, holdout, over_budget or no_action; "
                     "may be repeated."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")] = None,
) -> None:  # fmt: skip
    """Scores, reasons and decisions of a cutoff as one CSV file, for a CRM or a spreadsheet."""
    from holdfast.cli.render import acting as render
    from holdfast.pipelines.export import export as run_export

    at = words.instant(cutoff, "--cutoff")
    with session.recorded() as (workspace, run), session.progress("exporting"):
        with run.step("export"):
            report = run_export(workspace, cutoff=at, statuses=status or (), output=output).to_json()
        run.summary = run.summary or report
    session.answer(report, render.export)


def monitor(session: Session) -> None:
    """Quality, drift and matured performance of the latest batch, and whether it is time to retrain."""
    from holdfast.cli.render import acting as render
    from holdfast.pipelines.monitor import monitor as run_monitor

    with session.recorded() as (workspace, run), session.progress("monitoring"):
        with run.step("monitor"):
            report = run_monitor(workspace, run_id=run.run_id).to_json()
        run.summary = run.summary or report
    session.answer(report, render.monitor)


def retrain(
    session: Session,
    force: Annotated[bool, typer.Option("--force", help="Retrain even if nothing asks for it.")] = False,
) -> None:
    """Retrain if monitoring asks for it, and let the gate decide. Exit code 3 says that the gate refused."""
    from holdfast.cli.render import acting as render
    from holdfast.pipelines.retrain import retrain as run_retrain

    with session.recorded() as (workspace, run), session.progress("retraining") as steps:
        with run.step("retrain"):
            report = run_retrain(workspace, force=force, run_id=run.run_id, progress=steps.step).to_json()
        run.summary = run.summary or report
        session.answer(report, render.retrain)
        trained = report["train"]
        if trained and not trained["promoted"]:
            raise GateRefused(f"version {trained['version']} does not serve", trained["verdict"]["reasons"])


def register(app: typer.Typer) -> None:
    """Add this module's verbs."""
    verb(app, "score", panel=CUSTOMERS)(score)
    verb(app, "explain", panel=CUSTOMERS)(explain)
    verb(app, "decide", panel=CUSTOMERS)(decide)
    verb(app, "export", panel=CUSTOMERS)(export)
    verb(app, "materialize", panel=OPERATE)(materialize)
    verb(app, "monitor", panel=OPERATE)(monitor)
    verb(app, "retrain", panel=OPERATE)(retrain)
