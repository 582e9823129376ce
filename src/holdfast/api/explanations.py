"""POST /v1/explanations: why a probability is what it is, for a stored customer or for rows that the client brings."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.responses import Response

from holdfast.api import threads
from holdfast.api.answers import Explanations, Model, written
from holdfast.api.asked import ExplanationRequest
from holdfast.api.body import StrictRoute
from holdfast.api.bundles import Loaded
from holdfast.api.openapi import problems
from holdfast.api.rows import WHERE, Brought, brought
from holdfast.api.serving import Serving, model_of, unknown_customer
from holdfast.models.explain import NONE, RankedReasons, rank_reasons

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
            return written(await _of_rows(serving, asked.rows, asked.top))
        assert asked.customer_id is not None
        return written(await _of_customer(serving, asked.customer_id, asked.top))

    return router


async def _of_rows(serving: Serving, rows: list[dict[str, Any]], top: int) -> Explanations:
    serving.check_batch(WHERE, len(rows), MAX_EXPLAINED)
    loaded = await serving.model()
    mine = brought(rows, loaded.bundle.schema)
    found = await threads.run(explain, loaded, mine, top)
    model = Model(version=loaded.version, bundle_sha256=loaded.sha256)
    return Explanations.model_validate({"explanations": found, "model": model})


async def _of_customer(serving: Serving, customer_id: str, top: int) -> Explanations:
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
    found = await threads.run(explain, loaded, mine, top, customer_id)
    return Explanations.model_validate(
        {"explanations": found, "model": model_of(meta), "freshness": freshness, "generation": meta.generation}
    )


def explain(loaded: Loaded, rows: Brought, top: int, customer_id: str | None = None) -> list[dict[str, Any]]:
    """Of each row the fields of `answers.Explanation`."""
    bundle = loaded.bundle
    x = bundle.encoder.encode(rows.numbers, rows.words)
    probability, parts, base = bundle.explain_encoded(x, loaded.cutoff)
    features = [
        {"feature": f.name, "group": f.group, "label": f.label, "typical": bundle.typicals.get(f.name)}
        for f in bundle.schema
    ]
    raises = rank_reasons(parts, bundle.schema, top=top, direction="raises")
    lowers = rank_reasons(parts, bundle.schema, top=top, direction="lowers")
    found = []
    for i, values in enumerate(rows.shown()):
        mine, all_parts = parts[i].tolist(), [{**f, "value": v} for f, v in zip(features, values, strict=True)]
        found.append(
            {
                "customer_id": customer_id,
                "probability": float(probability[i]),
                "margin": base + float(parts[i].sum()),
                "base": base,
                "contributions": [
                    {**all_parts[k], "contribution": mine[k]}
                    for k in np.argsort(-np.abs(parts[i]), kind="stable").tolist()
                ],
                "raises": _reasons(raises, i, all_parts),
                "lowers": _reasons(lowers, i, all_parts),
            }
        )
    return found


def _reasons(ranked: RankedReasons, row: int, parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**parts[k], "direction": ranked.direction, "contribution": contribution}
        for k, contribution in zip(ranked.feature[row].tolist(), ranked.contribution[row].tolist(), strict=True)
        if k != NONE
    ]
