"""The card as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from holdfast.training.card.content import sections
from holdfast.training.card.data import CardData
from holdfast.training.card.parts import Block, Bullets, Facts, Plots, Shares, Table, Words

_MARKS = re.compile(r"([\\`*~\[\]|]|(?<![^\W_])_|_(?![^\W_]))")
_BLOCK = re.compile(r"^([#>+-]|\d+[.)])(?=\s|$)")
_ENTITY = re.compile(r"&(?=#?\w+;)")


def markdown(card: CardData) -> str:
    """The card as Markdown: all but the plots."""
    lines = [f"# {plain(card.title)}", ""]
    for section in sections(card):
        lines += [f"## {section.title}", ""]
        for block in section.blocks:
            if not isinstance(block, Plots):
                lines += [*_lines(block), ""]
    return "\n".join(lines)


def plain(text: str) -> str:
    """Text that means nothing but itself in Markdown, on one line."""
    text = _MARKS.sub(r"\\\1", _ENTITY.sub("&amp;", " ".join(text.split())))
    return _BLOCK.sub(r"\\\1", text.replace("<", "&lt;"))


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Words(text):
            yield plain(text)
        case Bullets(items):
            yield from (f"- {plain(item)}" for item in items)
        case Facts(rows):
            yield from (f"- **{plain(term)}**: {plain(said)}" for term, said in rows)
        case Shares(rows):
            for row in rows:
                interval = "" if row.low is None or row.high is None else f" ({row.low:.1%} to {row.high:.1%})"
                yield f"- {plain(row.label)}: {row.share:.1%}{interval}"
        case Table(head, cells, words):
            yield _row(head)
            yield _row(["---" if i < words else "---:" for i in range(len(head))])
            yield from (_row(row) for row in cells)
        case Plots():
            return


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(plain(cell) for cell in cells)} |"
