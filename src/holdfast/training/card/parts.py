"""What a card is made of, before it is Markdown or HTML. All text is plain: each writer escapes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """Sentences of a list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Terms, each with what is to be said of it."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Rows of cells; all columns but the first ``words`` hold figures."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


@dataclass(frozen=True)
class Share:
    """A part of a whole, 0 to 1, with its 95% interval where known."""

    label: str
    share: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Shares:
    """Parts of a whole, largest first."""

    rows: Sequence[Share]


@dataclass(frozen=True)
class Plot:
    """A plot by its name in `plots.draw`, with what it shows in words."""

    name: str
    title: str
    caption: str


@dataclass(frozen=True)
class Plots:
    """Plots side by side; under the words ``rows``, one below the other beside their titles. Only HTML shows them."""

    plots: Sequence[Plot]
    rows: str = ""


Block = Words | Bullets | Facts | Table | Shares | Plots


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    blocks: Sequence[Block]
