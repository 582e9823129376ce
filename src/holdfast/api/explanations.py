"""POST /v1/explanations: why a probability is what it is, for a stored customer or for rows that the client brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from fastapi import APIRouter

from holdfast.api import threads
from holdfast.api.answers import Explanation, Explanations, Model, Part, Reason
from holdfast.api.asked import ExplanationRequest
from holdfast.api.body import StrictRoute
from holdfast.api.openapi import problems
from holdfast.api.rows import WHERE, table_of
from holdfast.api.serving import Serving, model_of, unknown_customer
from holdfast.models.bundle import Bundle
from holdfast.models.explain import as_values, reasons

MAX_EXPLAINED = 100
"""Each row answers with every feature; more are for batch scoring, which writes reasons too."""


def routes(serving: Serving) -> APIRouter:
    """The route of explanations."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["explanations"])

    @router.post("/explanations", summary="Why", responses=problems(404, 409, 413, 415, 422, 503))
    async def explanations(asked: ExplanationRequest) -> Explanations:
        """Exact contributions in log-odds: `base` plus all of them is `margin`, the model's answer before calibration.
        Reasons take the windows of one measure together."""
        if asked.rows is not None:
            return await _of_rows(serving, asked.rows, asked.top)
        assert asked.customer_id is not None
        return await _of_customer(serving, asked.customer_id, asked.top)

    return router


async def _of_rows(serving: Serving, rows: list[dict[str, Any]], top: int) -> Explanations:
    serving.check_batch(WHERE, len(rows), MAX_EXPLAINED)
    loaded = await serving.model()
    table = table_of(rows, loaded.bundle.schema)
    found = await threads.run(explain, loaded.bundle, loaded.dated(table), top)
    return Explanations(explanations=found, model=Model(version=loaded.version, bundle_sha256=loaded.sha256))


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
        schema = loaded.bundle.schema
        table = pa.table([pa.array([features[f.name]], f.arrow_type) for f in schema], names=schema.names)
    found = await threads.run(explain, loaded.bundle, loaded.dated(table), top, customer_id)
    return Explanations(explanations=found, model=model_of(meta), freshness=freshness, generation=meta.generation)


def explain(bundle: Bundle, table: pa.Table, top: int, customer_id: str | None = None) -> list[Explanation]:
    """Explanations of rows of the bundle's schema, and ``cutoff`` where it is known."""
    parts, base = bundle.contributions(table)
    schema, typicals = bundle.schema, bundle.typicals
    raises = reasons(parts, schema, table, typicals, top, "raises")
    lowers = reasons(parts, schema, table, typicals, top, "lowers")
    values = [as_values(table.column(name)) for name in schema.names]
    found = []
    for i, probability in enumerate(bundle.predict(table).tolist()):
        strongest = np.argsort(-np.abs(parts[i]), kind="stable").tolist()
        found.append(
            Explanation(
                customer_id=customer_id,
                probability=probability,
                margin=base + float(parts[i].sum()),
                base=base,
                contributions=[
                    Part(
                        feature=schema.features[k].name,
                        group=schema.features[k].group,
                        label=schema.features[k].label,
                        value=_known(values[k][i]),
                        typical=typicals.get(schema.features[k].name),
                        contribution=float(parts[i, k]),
                    )
                    for k in strongest
                ],
                raises=_reasons(raises[i]),
                lowers=_reasons(lowers[i]),
            )
        )
    return found


def _reasons(found: Sequence[Any]) -> list[Reason]:
    return [Reason(**{**asdict(r), "value": _known(r.value)}) for r in found]


def _known(value: float | str | None) -> float | str | None:
    # the store keeps infinities, JSON has none, and the model reads them as unknown
    return None if isinstance(value, float) and not np.isfinite(value) else value
