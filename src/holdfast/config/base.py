"""The base of every config section: frozen, unknown keys refused."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema

from holdfast.clock import Span, iso, parse_instant, utc

FIRST_YEAR, LAST_YEAR = 1900, 2200
"""Other years are slips, and stepping from them could leave what dates can hold."""

LONGEST_MONTHS = 1200
LONGEST_DAYS = 36525
"""Longer spans are slips, and would run past the last year that dates have."""


class Section(BaseModel):
    """A section of configuration."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,  # .inf and .nan are YAML numbers, and pass or slip by every bound
    )


def _span(value: Any) -> Span:
    span = value if isinstance(value, Span) else Span.parse(str(value))
    if span.months > LONGEST_MONTHS or span.days > LONGEST_DAYS:
        raise ValueError(f"{value!r} is longer than a century")
    return span


def _instant(value: Any) -> datetime:
    try:
        # datetime is a date too; YAML reads 2024-03-01 as one
        instant = utc(value) if isinstance(value, date) else parse_instant(str(value))
    except (ValueError, OverflowError) as e:
        raise ValueError(f"{value!r} is not a date; write 2024-03-01 or 2024-03-01T09:30:00Z") from e
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"{iso(instant)} is not between the years {FIRST_YEAR} and {LAST_YEAR}")
    return instant


SpanField = Annotated[
    Span,
    BeforeValidator(_span),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["1m", "30d"]}),
]
"""A span of time: ``30d``, ``2w`` or ``3m``."""

InstantField = Annotated[datetime, BeforeValidator(_instant), PlainSerializer(iso, return_type=str)]
"""A UTC instant: ``2024-03-01`` (midnight) or ``2024-03-01T09:30:00Z``."""
