"""Business words, units, null meanings and definitions of features."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.clock import Span


@dataclass(frozen=True)
class Words:
    """What an aggregation says of a measure.

    Attributes
    ----------
    label : with ``{label}``, the measure in business words
    definition : with ``{rows}`` and ``{value}``; of rows alone, where it differs, ``of_rows``
    null : what a null says
    unit : None is the measure's own
    """

    label: str
    definition: str
    null: str
    unit: str | None = None
    of_rows: str = ""


NOT_COVERED = "the source does not cover the window"
NO_ROWS = "no such rows in the window, or the source does not cover it"
FEW_ROWS = "fewer than two in the window, or the source does not cover it"

AGGREGATIONS: dict[str, Words] = {
    "count": Words("number of {label}", "number of {rows}", NOT_COVERED, ""),
    "sum": Words("{label}, total", "sum of {value} over {rows}", NOT_COVERED),
    "mean": Words("{label}, average", "average of {value} over {rows}", NO_ROWS),
    "std": Words("{label}, variation", "sample standard deviation of {value} over {rows}", FEW_ROWS),
    "min": Words("{label}, lowest", "minimum of {value} over {rows}", NO_ROWS),
    "max": Words("{label}, highest", "maximum of {value} over {rows}", NO_ROWS),
    "first": Words(
        "{label}, first", "{value} of the first of {rows}; of several at one instant the smallest", NO_ROWS
    ),
    "last": Words(
        "{label}, latest", "{value} of the last of {rows}; of several at one instant the largest", NO_ROWS
    ),
    "n_unique": Words(
        "{label}, different values", "number of different values of {value} over {rows}", NOT_COVERED, ""
    ),
    "trend": Words(
        "{label}, change per month",
        "least-squares slope of the monthly sum of {value} over {rows}, of the months covered in full",
        "fewer than two full months covered",
        of_rows="least-squares slope of the monthly number of {rows}, of the months covered in full",
    ),
    "ratio": Words(
        "{label}, last month relative to the months before",
        "average of {value} over {rows} of the last month, divided by that of the months before",
        "nothing in the last month, or nothing before to compare with",
        "",
        of_rows="number of {rows} a covered day in the last month, divided by that of the months before",
    ),
    "share": Words("{label}, share of {whole}", "number of {rows}, divided by that of {whole}", NO_ROWS, ""),
    "recency": Words("days since the last of {label}", "days from the last of {rows} to the cutoff", NO_ROWS, "days"),
    "mean_gap": Words(
        "average days between {label}", "days from the first to the last of {rows}, divided by their number less one",
        FEW_ROWS, "days",
    ),
}  # fmt: skip


def in_words(span: Span) -> str:
    """``last month``, ``last 3 months``, ``last 30 days``."""
    length = _length(span)
    return f"last {length.removeprefix('1 ')}" if length.startswith("1 ") else f"last {length}"


def window(span: Span) -> str:
    """``[cutoff - 3 months, cutoff)``."""
    return f"[cutoff - {_length(span)}, cutoff)"


def _length(span: Span) -> str:
    number, word = (span.months, "month") if span.months else (span.days, "day")
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
