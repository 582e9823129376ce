"""POST /v1/explanations: why a probability is what it is, for a stored customer or for rows that the client brings."""

from __future__ import annotations

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
from holdfast.artifacts.schema import FeatureSchema
from holdfast.models.bundle import Bundle
from holdfast.models.explain import NONE, Direction, as_values, rank_reasons

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
    values = _values(table, schema)
    directions: tuple[Direction, ...] = ("raises", "lowers")
    ranked = [rank_reasons(parts, schema, top=top, direction=direction) for direction in directions]
    found = []
    for i, probability in enumerate(bundle.predict(table).tolist()):
        strongest = np.argsort(-np.abs(parts[i]), kind="stable").tolist()
        words = [
            {
                "group": f.group,
                "feature": f.name,
                "label": f.label,
                "value": values[f.name][i],
                "typical": typicals.get(f.name),
            }
            for f in schema
        ]
        raises, lowers = (
            [
                Reason(**words[k], direction=of.direction, contribution=part)
                for k, part in zip(of.feature[i].tolist(), of.contribution[i].tolist(), strict=True)
                if k != NONE
            ]
            for of in ranked
        )
        found.append(
            Explanation(
                customer_id=customer_id,
                probability=probability,
                margin=base + float(parts[i].sum()),
                base=base,
                contributions=[Part(**words[k], contribution=float(parts[i, k])) for k in strongest],
                raises=raises,
                lowers=lowers,
            )
        )
    return found


def _values(table: pa.Table, schema: FeatureSchema) -> dict[str, list[float | str | None]]:
    """The rows' values by feature. All numbers are read at once: Arrow's price is by the call."""
    numbers = [f.name for f in schema if f.kind == "number"]
    chunks = [chunk for name in numbers for chunk in table.column(name).chunks]
    flat = as_values(pa.chunked_array([pa.chunked_array(chunks, pa.float32()).combine_chunks()]))
    n = table.num_rows
    found = {name: [_known(v) for v in flat[k * n : (k + 1) * n]] for k, name in enumerate(numbers)}
    return {**found, **{f.name: table.column(f.name).to_pylist() for f in schema if f.kind != "number"}}


def _known(value: float | str | None) -> float | str | None:
    # the store keeps infinities, JSON has none, and the model reads them as unknown
    return None if isinstance(value, float) and not np.isfinite(value) else value
