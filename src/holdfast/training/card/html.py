"""The card as one HTML page that needs nothing else: no script, no network, light and dark, and it prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from holdfast.evaluation.names import name_of
from holdfast.training.card.content import sections
from holdfast.training.card.data import CardData
from holdfast.training.card.figures import between, number
from holdfast.training.card.parts import Block, Bullets, Facts, Plots, Shares, Table, Words
from holdfast.training.card.style import STYLE

TILES = (("roc_auc", 3), ("average_precision", 3), ("lift_at_10", 2))
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(card: CardData, plots: Mapping[str, str] | None = None) -> str:
    """The card as HTML.

    Parameters
    ----------
    plots : what `plots.draw` made of the same data; drawn here if not given
    """
    if plots is None:
        from holdfast.training.card.plots import draw  # seconds

        plots = draw(card)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{escape(_clean(card.title))}</title><style>{STYLE}</style></head><body>",
        *_head(card),
    ]
    for section in sections(card):
        parts.append(f"<section><h2>{escape(section.title)}</h2>")
        for block in section.blocks:
            parts += _block(block, plots)
        parts.append("</section>")
    return "\n".join([*parts, "</body></html>", ""])


def _clean(text: str) -> str:
    """Without characters that no page may hold."""
    return "".join(c if c.isprintable() or c == " " else " " for c in text)


def _text(text: str) -> str:
    return escape(_clean(text))


def _head(card: CardData) -> Iterator[str]:
    test, verdict = card.metrics["test"], card.verdict
    yield f"<header><h1>{_text(card.title)}</h1>"
    made = f"{card.manifest['estimator']}, dataset {card.manifest['dataset_id']}"
    made += f", known as of {card.dataset['known_as_of']}"
    yield f'<p class="quiet">{_text(made)}'
    if verdict is not None:
        good = verdict["passed"]
        yield f'<strong class="{"clean" if good else "found"}">the gate said {"yes" if good else "no"}</strong>'
    yield '</p></header><div class="tiles">'
    metrics: Mapping[str, Any] = test["metrics"]
    rate = test["base_rate"]
    for name, digits in TILES:
        if (metric := metrics.get(name)) is not None:
            note = f"base rate {rate:.3f}; " if name == "average_precision" else ""
            yield _tile(name_of(name), number(metric["value"], digits), note + between(metric, digits))
    expected = test["mean_probability"]
    if expected > 0:
        yield _tile("observed / expected churn", f"{rate / expected:.2f}", f"{rate:.4f} / {expected:.4f}")
    yield "</div>"


def _tile(title: str, value: str, note: str) -> str:
    return f"<div><span>{escape(title)}</span><b>{escape(value)}</b><span>{escape(note)}</span></div>"


def _block(block: Block, plots: Mapping[str, str]) -> Iterator[str]:
    match block:
        case Words(text):
            yield f"<p>{_text(text)}</p>"
        case Bullets(items):
            yield "<ul>" + "".join(f"<li>{_text(item)}</li>" for item in items) + "</ul>"
        case Facts(rows):
            yield "<dl>" + "".join(f"<dt>{_text(term)}</dt><dd>{_text(said)}</dd>" for term, said in rows) + "</dl>"
        case Shares():
            yield from _shares(block)
        case Table():
            yield from _table(block)
        case Plots():
            yield from _rows(block, plots) if block.rows else _grid(block, plots)


def _table(table: Table) -> Iterator[str]:
    def row(cells: Any, tag: str) -> str:
        parts = (f"<{tag}{'' if i < table.words else ' class=n'}>{_text(c)}</{tag}>" for i, c in enumerate(cells))
        return f"<tr>{''.join(parts)}</tr>"

    yield f'<div class="wide"><table><thead>{row(table.head, "th")}</thead><tbody>'
    yield from (row(cells, "td") for cells in table.rows)
    yield "</tbody></table></div>"


def _shares(block: Shares) -> Iterator[str]:
    """Bars, with a line from the low to the high end of the interval."""
    longest = max((max(row.share, row.high or 0.0) for row in block.rows), default=1.0) or 1.0
    yield '<div class="shares">'
    for row in block.rows:
        line = ""
        if row.low is not None and row.high is not None:
            left, width = row.low / longest, (row.high - row.low) / longest
            line = f'<i style="left:{left:.2%};width:{width:.2%}"></i>'
        bar = f'<s style="width:{row.share / longest:.2%}"></s>{line}'
        interval = "" if not line else f" <small>{row.low:.1%} to {row.high:.1%}</small>"
        yield f"<span>{_text(row.label)}</span><div>{bar}</div><span>{row.share:.1%}{interval}</span>"
    yield "</div>"


def _grid(block: Plots, plots: Mapping[str, str]) -> Iterator[str]:
    yield '<div class="plots">'
    for plot in block.plots:
        if plot.name in plots:
            words = f"<figcaption>{_text(plot.caption)}</figcaption>" if plot.caption else ""
            yield f"<figure><h3>{_text(plot.title)}</h3>{plots[plot.name]}{words}</figure>"
    yield "</div>"


def _rows(block: Plots, plots: Mapping[str, str]) -> Iterator[str]:
    yield f'<p class="quiet">{_text(block.rows)}</p><div class="strips">'
    for plot in block.plots:
        if plot.name in plots:
            yield f"<span>{_text(plot.title)}</span>{plots[plot.name]}"
    yield "</div>"
