"""Work that would keep other requests waiting, in threads, for so long and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from holdfast.api.problems import Unavailable

T = TypeVar("T")

SECONDS = 15.0
THREADS = 40
"""Many wait for one to load a bundle, and others should not wait for them."""
SLOW = "this took too long here, and was given up. Send it again later, or less of it at once."

# Work that is given up runs to its end all the same, so the pool has an end too: anyio's would start threads anew.
_POOL = ThreadPoolExecutor(THREADS, thread_name_prefix="holdfast-api")


async def run(work: Callable[..., T], *args: object) -> T:
    """What ``work`` returns.

    Raises
    ------
    Unavailable
        It was not done, or not even begun, after `SECONDS`.
    """
    try:
        async with asyncio.timeout(SECONDS) as limit:
            return await asyncio.get_running_loop().run_in_executor(_POOL, work, *args)
    except TimeoutError as e:  # an OSError too: the work's own is not ours
        if not limit.expired():
            raise
        raise Unavailable("slow", SLOW) from e
