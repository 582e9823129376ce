"""The online store's format on Redis: a hash of packed rows per generation, and sorted sets for the work lists.

Keys begin with ``holdfast:<project>:online:``, then

- ``current``: the pointer (JSON); ``generations``: a set of the names that may have keys
- ``<generation>:keys``: a set of the generation's other keys, written before them, so that a killed writer's are found
- ``<generation>:rows``: a hash of customer_id -> packed row; ``:ids``: a list of customer_ids, ascending
- ``<generation>:<order>:all`` and ``:<order>:<group>``: sorted sets of customer_id by rank, of all customers and of
  each pair of tier and segment
- ``<generation>:meta`` (JSON): written last and removed first; a generation is whole while it is there
- ``new-<generation>:...``: one that is being written; all its keys get their names in one transaction

A row is `_HEAD` (probability; expected_value, NaN for none; the number of its pair of tier and segment; bytes of
reasons), the features as SQLite has them, reasons and decision (JSON).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from holdfast.stores.online_format import RANKS, Order
from holdfast.stores.online_meta import meta_of
from holdfast.stores.online_pack import Packed
from holdfast.stores.online_row import GenerationMeta

_HEAD = struct.Struct("<ddII")

Group = tuple[str, str | None]
"""A tier and a segment."""


@dataclass(frozen=True)
class Keys:
    """The names of one project's keys."""

    prefix: str

    @property
    def current(self) -> str:
        return f"{self.prefix}current"

    @property
    def generations(self) -> str:
        return f"{self.prefix}generations"

    def of(self, generation: str, part: str) -> str:
        return f"{self.prefix}{generation}:{part}"

    def order(self, generation: str, order: Order, group: int | None) -> str:
        """``group``: a place in the generation's groups; None for all customers."""
        return self.of(generation, f"{order}:{'all' if group is None else group}")

    def data(self, generation: str, groups: int) -> list[str]:
        """Every key of a generation but ``meta`` and ``keys``."""
        orders = [self.order(generation, o, g) for o in RANKS for g in (None, *range(groups))]
        return [self.of(generation, "rows"), self.of(generation, "ids"), *orders]


@dataclass(frozen=True)
class RedisMeta:
    """What a generation is, and the groups that its rows and sorted sets are of."""

    meta: GenerationMeta
    groups: list[Group]
    sizes: list[int]
    """Customers of each group."""

    @classmethod
    def of(cls, text: bytes) -> RedisMeta:
        """Of the JSON in ``meta``. ValueError, KeyError or TypeError where it is damaged."""
        data = json.loads(text)
        categories = dict(enumerate(data.pop("categories")))
        sizes = {(tier, segment): int(rows) for tier, segment, rows in data.pop("groups")}
        return cls(meta_of(data, categories), list(sizes), list(sizes.values()))

    def chosen(self, tier: str | None, segment: str | None) -> list[int | None]:
        """The sorted sets that together hold the customers of a filter."""
        if tier is None and segment is None:
            return [None]
        return [i for i, (t, s) in enumerate(self.groups) if tier in (None, t) and segment in (None, s)]

    def rows(self, chosen: list[int | None]) -> list[int]:
        """How many customers each of these sorted sets has."""
        return [self.meta.rows if i is None else self.sizes[i] for i in chosen]

    def columns(self, customer_id: str, row: bytes) -> tuple[Any, ...]:
        """What `online_row.OnlineRow` takes. ValueError where the row is damaged."""
        try:
            probability, value, group, length = _HEAD.unpack_from(row)
            tier, segment = self.groups[group]
        except (struct.error, IndexError) as e:
            raise ValueError("a row is cut short") from e
        start = _HEAD.size + self.meta.row_bytes
        features, reasons, decision = row[_HEAD.size : start], row[start : start + length], row[start + length :]
        known = None if math.isnan(value) else value
        return customer_id, probability, tier, segment, known, features, reasons, decision


def groups_of(packed: Packed) -> dict[Group, int]:
    """The pairs of tier and segment that there are, sorted, and the customers of each."""
    pairs = packed.beside.group_by(["tier", "segment"]).aggregate([([], "count_all")]).to_pylist()
    sizes = {(pair["tier"], pair["segment"]): pair["count_all"] for pair in pairs}
    return dict(sorted(sizes.items(), key=lambda item: (item[0][0], item[0][1] or "")))


def packed_rows(packed: Packed, groups: list[Group]) -> Iterator[tuple[str, int, int, int, bytes]]:
    """customer_id, group, value rank, probability rank and the packed row."""
    places = {group: i for i, group in enumerate(groups)}
    for i, p, tier, segment, value, by_value, by_probability, features, reasons, decision in packed.rows():
        told, group = reasons.encode(), places[tier, segment]
        head = _HEAD.pack(p, math.nan if value is None else value, group, len(told))
        yield i, group, by_value, by_probability, b"".join((head, features, told, decision.encode()))
