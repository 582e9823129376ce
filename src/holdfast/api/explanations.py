"""POST /v1/explanations: why a probability is what it is, for a stored customer or for rows that the client brings."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.responses import Response

from holdfast.api import threads
from holdfast.api.answers import Explanations, Model, written_plain
from holdfast.api.asked import ExplanationRequest
from holdfast.api.body import StrictRoute
from holdfast.api.bundles import Loaded
from holdfast.api.openapi import problems
from holdfast.api.rows import WHERE, Brought, brought
from holdfast.api.serving import Serving, model_of, unknown_customer
from holdfast.models.explain import Direction, Value, row_reasons

MAX_EXPLAINED = 100
"""Each row answers with every feature; more are for batch scoring, which writes reasons too."""


def routes(serving: Serving) -> APIRouter:
    """The route of explanations."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["explanations"])

    @router.post(
        "/explanations",
        summary="Why",
        response_model=Explanations,
        responses=problems(404, 409, 413, 415, 422, 503),
    )
    async def explanations(asked: ExplanationRequest) -> Response:
        """Exact contributions in log-odds: `base` plus all of them is `margin`, the model's answer before calibration.
        Reasons take the windows of one measure together."""
        if asked.rows is not None:
            return written_plain(await _of_rows(serving, asked.rows, asked.top))
        assert asked.customer_id is not None
        return written_plain(await _of_customer(serving, asked.customer_id, asked.top))

    return router


async def _of_rows(serving: Serving, rows: list[dict[str, Any]], top: int) -> dict[str, Any]:
    serving.check_batch(WHERE, len(rows), MAX_EXPLAINED)
    loaded = await serving.model()
    found = await _explained(loaded, brought(rows, loaded.bundle.schema), top)
    model = Model(version=loaded.version, bundle_sha256=loaded.sha256)
    return {"explanations": found, "model": model, "freshness": None, "generation": None}


async def _of_customer(serving: Serving, customer_id: str, top: int) -> dict[str, Any]:
    meta, row = await serving.store.get(customer_id)
    if row is None:
        raise unknown_customer()
    freshness = serving.freshness(meta)
    with serving.store.guard():
        features = row.features
    # only the bundle that made the score can explain it
    loaded = await serving.bundles.of(meta)
    with serving.store.guard():  # features that do not fit their own bundle
        mine = Brought.of(loaded.bundle.schema, features)
    found = await _explained(loaded, mine, top, customer_id)
    return {"explanations": found, "model": model_of(meta), "freshness": freshness, "generation": meta.generation}


async def _explained(loaded: Loaded, rows: Brought, top: int, customer_id: str | None = None) -> list[dict[str, Any]]:
    if len(rows.numbers) == 1 and loaded.bundle.model.quick_alone:
        return explain(loaded, rows, top, customer_id)  # on its way to a thread and back it would wait longer
    return await threads.run(explain, loaded, rows, top, customer_id)


def explain(loaded: Loaded, rows: Brought, top: int, customer_id: str | None = None) -> list[dict[str, Any]]:
    """Of each row the fields of `answers.Explanation`, as `answers.written_plain` wants them."""
    bundle = loaded.bundle
    x = bundle.encoder.encode(rows.numbers, rows.words)
    probability, parts, base = bundle.explain_encoded(x, loaded.cutoff)
    margin = (base + parts.sum(axis=1)).tolist()
    strongest = np.argsort(-np.abs(parts), axis=1, kind="stable").tolist()
    found = []
    for i, (values, mine) in enumerate(zip(rows.shown(), parts.tolist(), strict=True)):
        told = [
            {"feature": f.name, "group": f.group, "label": f.label, "value": value, "typical": typical,
             "contribution": part}
            for (f, typical), value, part in zip(loaded.told, values, mine, strict=True)
        ]  # fmt: skip
        found.append(
            {
                "customer_id": customer_id,
                "probability": float(probability[i]),
                "margin": margin[i],
                "base": base,
                "contributions": [told[k] for k in strongest[i]],
                "raises": _reasons(loaded, mine, values, top, "raises"),
                "lowers": _reasons(loaded, mine, values, top, "lowers"),
            }
        )
    return found


def _reasons(
    loaded: Loaded, mine: list[float], values: list[Value], top: int, direction: Direction
) -> list[dict[str, Any]]:
    found = []
    for k, contribution in row_reasons(mine, loaded.members, top, direction):
        f, typical = loaded.told[k]
        found.append(
            {"group": f.group, "feature": f.name, "label": f.label, "value": values[k], "typical": typical,
             "direction": direction, "contribution": contribution}
        )  # fmt: skip
    return found
