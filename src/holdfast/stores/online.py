"""The online store on SQLite: one immutable file per generation, and a pointer to the one that serves."""

from __future__ import annotations

from holdfast.stores.online_format import Order, Pointer
from holdfast.stores.online_read import OnlineReader
from holdfast.stores.online_row import GenerationMeta, OnlineRow, Page
from holdfast.stores.online_write import OnlineWriter

__all__ = ["GenerationMeta", "OnlineReader", "OnlineRow", "OnlineWriter", "Order", "Page", "Pointer"]
