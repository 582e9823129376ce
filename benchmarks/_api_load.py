"""The load process of api.py: HTTP/1.1 requests over kept connections, by the clock or as fast as answers come.

    python _api_load.py PORT REQUESTS CONNECTIONS SECONDS [RATE]

REQUESTS is a file of whole requests, each after its length in 4 bytes; they are sent round and round. With RATE,
request i is due at i / RATE seconds whatever became of those before it, and its time counts from then: a server that
stalls is charged for everyone who had to wait. Without, each connection sends its next request when it has its answer.
Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np

WARM_UP = 50
END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length:"


class Connection(asyncio.Protocol):
    """One connection, with one request under way."""

    def __init__(self) -> None:
        self._got = bytearray()
        self._answer: asyncio.Future[tuple[int, int]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, int]]:
        """Send; the status and the bytes of the body will come."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(END_OF_HEAD)
        if end < 0:
            return
        head = bytes(self._got[:end]).lower()
        at = head.find(LENGTH)
        size = int(head[at + len(LENGTH) :].split(b"\r\n", 1)[0])
        if len(self._got) >= end + len(END_OF_HEAD) + size and self._answer is not None:
            self._got.clear()
            self._answer.set_result((int(head[9:12]), size))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed a connection"))


async def load(
    port: int, requests: list[bytes], connections: int, seconds: float, rate: float | None
) -> dict[str, float]:
    """Times in milliseconds, requests a second, mean bytes of an answer, and answers other than 200."""
    loop = asyncio.get_running_loop()
    opened = [(await loop.create_connection(Connection, "127.0.0.1", port))[1] for _ in range(connections)]
    for i in range(WARM_UP):
        await opened[i % connections].ask(requests[i % len(requests)])
    waits: list[float] = []
    sizes: list[int] = []
    failed = 0
    numbers = count()
    began = time.perf_counter()

    async def send(connection: Connection) -> None:
        nonlocal failed
        while True:
            i = next(numbers)
            due = began + i / rate if rate else time.perf_counter()
            if due - began >= seconds:
                return
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            status, size = await connection.ask(requests[i % len(requests)])
            waits.append(time.perf_counter() - due)
            sizes.append(size)
            failed += status != 200

    await asyncio.gather(*(send(c) for c in opened))
    took = time.perf_counter() - began
    p50, p95, p99 = (np.percentile(waits, [50, 95, 99]) * 1000).tolist()
    told = {"p50": p50, "p95": p95, "p99": p99, "a_second": len(waits) / took, "bytes": float(np.mean(sizes))}
    return {**told, "failed": failed}


def read_requests(file: Path) -> list[bytes]:
    data, at, found = file.read_bytes(), 0, []
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def write_requests(file: Path, requests: list[bytes]) -> None:
    file.write_bytes(b"".join(struct.pack("<I", len(r)) + r for r in requests))


if __name__ == "__main__":
    port, file, connections, seconds, *rate = sys.argv[1:]
    found = load(
        int(port), read_requests(Path(file)), int(connections), float(seconds), float(rate[0]) if rate else None
    )
    print(json.dumps(asyncio.run(found)))
