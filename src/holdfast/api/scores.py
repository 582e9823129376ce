"""POST /v1/scores: stored scores of many customers, or scores of rows that the client brings."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from holdfast.api import threads
from holdfast.api.answers import ComputedScores, Model, StoredScores, written
from holdfast.api.asked import ScoreRequest
from holdfast.api.body import StrictRoute
from holdfast.api.bundles import Loaded
from holdfast.api.customers import stored_score
from holdfast.api.openapi import problems
from holdfast.api.rows import WHERE, brought
from holdfast.api.serving import INLINE_ROWS, Serving, model_of


def routes(serving: Serving) -> APIRouter:
    """The route of scores."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute, tags=["scores"])

    @router.post(
        "/scores",
        summary="Scores of many",
        response_model=StoredScores | ComputedScores,
        responses=problems(409, 413, 415, 422, 503),
    )
    async def scores(asked: ScoreRequest) -> Response:
        """With `customer_ids`: stored scores, and the ids that are not there. With `rows`: scored now by the serving
        model; this also works while the online store cannot be read."""
        if asked.rows is not None:
            return written(await _computed(serving, asked.rows))
        assert asked.customer_ids is not None
        return written(await _stored(serving, asked.customer_ids))

    return router


async def _stored(serving: Serving, ids: list[str]) -> StoredScores:
    serving.check_batch("body.customer_ids", len(ids))
    meta, rows = await serving.store.get_many(ids, long=len(ids) > INLINE_ROWS)
    freshness = serving.freshness(meta)
    with serving.store.guard():
        found = StoredScores.model_validate(
            {
                "scores": [stored_score(row) for row in rows.values()],
                "not_found": [i for i in dict.fromkeys(ids) if i not in rows],
                "freshness": freshness,
                "model": model_of(meta),
                "generation": meta.generation,
            }
        )
    serving.metrics.scores("stored", [score.probability for score in found.scores])
    return found


async def _computed(serving: Serving, rows: list[dict[str, Any]]) -> ComputedScores:
    serving.check_batch(WHERE, len(rows))
    loaded = await serving.model()
    if len(rows) <= INLINE_ROWS:
        found = _predict(loaded, rows)
    else:
        found = await threads.run(_predict, loaded, rows)
    serving.metrics.scores("computed", found)
    model = Model(version=loaded.version, bundle_sha256=loaded.sha256)
    return ComputedScores.model_validate({"scores": [{"probability": p} for p in found], "model": model})


def _predict(loaded: Loaded, rows: list[dict[str, Any]]) -> list[float]:
    bundle = loaded.bundle
    mine = brought(rows, bundle.schema)
    found: list[float] = bundle.predict_encoded(bundle.encoder.encode(mine.numbers, mine.words), loaded.cutoff).tolist()
    return found
