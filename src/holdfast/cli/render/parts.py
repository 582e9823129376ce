"""The few shapes that all reports are made of: a heading, facts, a table, a note."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from holdfast.cli.session import DEFAULT_PROJECT

WIDTH = 100
UNKNOWN = "–"


def show(parts: Iterable[Any]) -> None:
    """Print to stdout; a pipe gets `WIDTH` columns, no colour and no spaces at the ends of lines."""
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        sys.stdout.write(text(parts))
        return
    console.width = min(WIDTH, console.width)
    for part in parts:
        console.print(part)


def text(parts: Iterable[Any]) -> str:
    """The same as plain text, for pipes, files and tests."""
    console = Console(file=io.StringIO(), width=WIDTH, no_color=True, highlight=False, force_terminal=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def title(words: str, after: str = "") -> Text:
    """The first line of a report."""
    line = Text()
    line.append(words, style="bold")
    if after:
        line.append(f"  {after}", style="dim")
    return line


def facts(rows: Mapping[str, object] | Sequence[tuple[str, object]]) -> Padding:
    """Names on the left, what is known on the right; rows without a value are left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=12)
    grid.add_column(overflow="fold")
    for name, value in rows.items() if isinstance(rows, Mapping) else rows:
        if value is not None and value != "":
            grid.add_row(name, value if isinstance(value, Text) else str(value))
    return Padding(grid, (0, 0, 0, 2))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()) -> Padding:
    """A table; the columns named in ``right`` are numbers."""
    found = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1))
    for column in columns:
        found.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        found.add_row(*(UNKNOWN if cell is None else str(cell) for cell in row))
    return Padding(found, (1, 0, 1, 2))


def note(words: str) -> Padding:
    """A remark, wrapped."""
    return Padding(Text(words), (0, 0, 0, 2))


def for_project(name: str) -> str:
    """What a command needs to be about that project; ``demo`` is meant where none is named."""
    return "" if name == DEFAULT_PROJECT else f" --project {name}"


def bar(share: float, *, width: int = 20) -> str:
    """A share of one as a bar of blocks."""
    return "█" * max(0, min(width, round(share * width)))


def count(value: Any) -> str:
    """``68,627``."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def counted(number: int, what: str) -> str:
    """``1 feature`` or ``3 features``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def share(value: Any, digits: int = 1) -> str:
    """``2.7%``."""
    return UNKNOWN if value is None else f"{value:.{digits}%}"


def money(value: Any, currency: str) -> str:
    """``USD 12,345``."""
    return UNKNOWN if value is None else f"{currency} {value:,.0f}"


def interval(metric: Mapping[str, Any] | None, digits: int = 3) -> str:
    """``0.819 (0.810 to 0.828)``."""
    if not metric or metric.get("value") is None:
        return UNKNOWN
    said = f"{metric['value']:.{digits}f}"
    if metric.get("low") is None or metric.get("high") is None:
        return said
    return f"{said} ({metric['low']:.{digits}f} to {metric['high']:.{digits}f})"
