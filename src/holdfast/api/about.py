"""GET /v1/model and /v1/features: what scores, and what it wants."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter

from holdfast.api.answers import Feature, Features, Model, ModelCard
from holdfast.api.openapi import problems
from holdfast.api.serving import Serving

_SHOWN_BY_NAME = frozenset({"estimator", "params", "dataset_id"})


def routes(serving: Serving) -> APIRouter:
    """The routes about the model."""
    router = APIRouter(prefix="/v1", tags=["model"])

    @router.get("/model", summary="The model that serves", responses=problems(503))
    async def model() -> ModelCard:
        """Its version, bundle, estimator, what was measured before it was promoted, and where it came from."""
        loaded = await serving.model()
        provenance = asdict(loaded.bundle.provenance)
        return ModelCard(
            version=loaded.version,
            bundle_sha256=loaded.sha256,
            estimator=provenance["estimator"],
            params=provenance["params"],
            metrics=dict(loaded.bundle.metrics),
            trained_on=provenance["dataset_id"],
            provenance={k: v for k, v in provenance.items() if k not in _SHOWN_BY_NAME},
            features=len(loaded.bundle.schema),
        )

    @router.get("/features", summary="What the model reads", responses=problems(503))
    async def features() -> Features:
        """Every feature's meaning, unit, window, what a null says, and the values that are usual."""
        loaded = await serving.model()
        levels, typicals = loaded.bundle.encoder.levels, loaded.bundle.typicals
        return Features(
            model=Model(version=loaded.version, bundle_sha256=loaded.sha256),
            features=[
                Feature(
                    **asdict(f),
                    typical=typicals.get(f.name),
                    levels=list(levels[f.name].level) if f.name in levels else None,
                )
                for f in loaded.bundle.schema
            ],
        )

    return router
