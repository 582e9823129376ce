"""What clients may send."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from holdfast.api.examples import ROW

MAX_ID_CHARS = 200
TOP_REASONS = 3

CustomerId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_ID_CHARS, pattern=r"^[^\x00-\x1f\x7f]+$"),
    Field(description="As in the project's tables.", examples=["C-1001"]),
]
# Not typed further: the bundle's schema checks rows, and says more when they do not fit.
Rows = Annotated[list[dict[str, Any]], Field(min_length=1, description="Feature values by name; GET /v1/features")]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScoreRequest(_Body):
    """Either customers, for their stored scores, or feature rows, to be scored now."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer_ids": ["C-1001", "C-9999"]}, {"rows": [ROW]}]})
    customer_ids: Annotated[list[CustomerId], Field(min_length=1)] | None = None
    rows: Rows | None = None

    @model_validator(mode="after")
    def _one(self) -> ScoreRequest:
        if (self.customer_ids is None) == (self.rows is None):
            raise ValueError("give either customer_ids or rows")
        return self


class ExplanationRequest(_Body):
    """Either a customer of the store or feature rows."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer_id": "C-1001"}, {"rows": [ROW], "top": 5}]})
    customer_id: CustomerId | None = None
    rows: Rows | None = None
    top: Annotated[int, Field(ge=1, le=20, description="Most reasons each way.")] = TOP_REASONS

    @model_validator(mode="after")
    def _one(self) -> ExplanationRequest:
        if (self.customer_id is None) == (self.rows is None):
            raise ValueError("give either customer_id or rows")
        return self
