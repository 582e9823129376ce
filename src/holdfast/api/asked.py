"""What clients may send."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, StringConstraints, model_validator
from pydantic.config import JsonDict, JsonValue
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from holdfast.api.examples import ROW

MAX_ID_CHARS = 200
TOP_REASONS = 3
MOST_FIELDS = 20
"""Of a body. Each one that is not known would be a problem of its own, and a body has room for many."""

CustomerId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_ID_CHARS, pattern=r"^[^\x00-\x1f\x7f]+$"),
    Field(description="As in the project's tables.", examples=["C-1001"]),
]
# Not typed further: the bundle's schema checks rows, and says more when they do not fit. The first item of another type
# ends it: a million problems of one body would be gigabytes before ten of them are told.
Rows = Annotated[
    list[dict[str, Any]], Field(min_length=1, fail_fast=True, description="Feature values by name; GET /v1/features")
]


def _either(*examples: JsonDict, first: str) -> ConfigDict:
    """Of a body that holds either ``first`` or rows, and no null in the place of one."""
    either: list[JsonValue] = [{"required": [first]}, {"required": ["rows"]}]
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [*examples], "oneOf": either})


class _Either(BaseModel):
    rows: Rows | None = None

    @model_validator(mode="before")
    @classmethod
    def _few(cls, body: Any) -> Any:
        if isinstance(body, dict) and len(body) > MOST_FIELDS:
            raise ValueError(f"has {len(body)} fields; there are {', '.join(cls.model_fields)}")
        return body

    @model_validator(mode="after")
    def _one(self) -> Self:
        first = next(name for name in type(self).model_fields if name.startswith("customer"))
        given = {first, "rows"} & self.model_fields_set
        if len(given) != 1 or getattr(self, given.pop()) is None:
            raise ValueError(f"give either {first} or rows")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Without the null that stands for what is left out here."""
        found = handler.resolve_ref_schema(handler(core))
        for name, field in found["properties"].items():
            if "anyOf" in field:
                rest = {k: v for k, v in field.items() if k not in ("anyOf", "default")}
                found["properties"][name] = {**field["anyOf"][0], **rest}
        return found


class ScoreRequest(_Either):
    """Either customers, for their stored scores, or feature rows, to be scored now."""

    model_config = _either({"customer_ids": ["C-1001", "C-9999"]}, {"rows": [ROW]}, first="customer_ids")
    customer_ids: Annotated[list[CustomerId], Field(min_length=1, fail_fast=True)] | None = None


class ExplanationRequest(_Either):
    """Either a customer of the store or feature rows."""

    model_config = _either({"customer_id": "C-1001"}, {"rows": [ROW], "top": 5}, first="customer_id")
    customer_id: CustomerId | None = None
    top: Annotated[int, Field(ge=1, le=20, description="Most reasons each way.")] = TOP_REASONS
