"""Downloading public data sets: one file, a pinned sha256, and never half a file in place."""

from __future__ import annotations

import hashlib
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from holdfast.artifacts.files import clear_temporary, writing_file
from holdfast.errors import HoldfastError, StoreError, UsageError

MAX_BYTES = 64 * 2**20
"""More than any data set here has; a larger answer is something else."""
CHUNK = 2**16
TIMEOUT_SECONDS = 30.0
MAX_SECONDS_FACTOR = 20
"""A download may take this many timeouts in all: a server that drips bytes never times out by itself."""

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes so far and, where the server says, the bytes in all."""


@dataclass(frozen=True)
class FetchSpec:
    """A public file: its address, pinned sha256 and name."""

    url: str
    sha256: str
    file: str


DATASETS = {
    "telco": FetchSpec(
        url="https://raw.githubusercontent.com/IBM/telco-customer-churn-on-icp4d/master/data/Telco-Customer-Churn.csv",
        sha256="16320c9c1ec72448db59aa0a26a0b95401046bef5d02fd3aeb906448e3055e91",
        file="Telco-Customer-Churn.csv",
    ),
}


def fetch(
    url: str,
    sha256: str,
    dest: Path,
    *,
    timeout: float = TIMEOUT_SECONDS,
    progress: Progress | None = None,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Download ``url`` to ``dest`` if its content has the given hash; a ``dest`` that has it already is kept.

    Parameters
    ----------
    url : http or https
    sha256 : 64 hexadecimal digits
    dest : the file to write; replaced only by a complete, verified download
    timeout : seconds to wait for a connection or for the next bytes
    progress : told of every chunk
    max_bytes : a longer answer is refused

    Returns
    -------
    Path
        ``dest``.

    Raises
    ------
    HoldfastError
        The server cannot be reached or refuses, or the answer is cut short, too long or of another hash.
    StoreError
        ``dest`` cannot be written.
    UsageError
        ``url`` or ``sha256`` is not one.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url!r} is not an http or https address", fix="Give one, or the path of your own copy.")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise UsageError(f"{sha256!r} is not a sha256", fix="Give its 64 hexadecimal digits, in lower case.")
    if _has_hash(dest, sha256):
        return dest
    clear_temporary(dest)
    with writing_file(dest) as temporary:
        digest = hashlib.sha256()
        done = 0
        with temporary.open("wb") as out:
            for chunk, total in _chunks(url, timeout, max_bytes):
                out.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                if progress is not None:
                    progress(done, total)
        if digest.hexdigest() != sha256:
            raise HoldfastError(
                f"{url} has changed: its sha256 is {digest.hexdigest()}, not {sha256}",
                fix="Nothing was kept. Use a copy of the file you trust, or look for a newer Holdfast.",
            )
    return dest


def _has_hash(file: Path, sha256: str) -> bool:
    if not file.is_file():
        return False
    try:
        with file.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest() == sha256
    except OSError as e:
        raise StoreError(f"cannot read {file}: {e.strerror or e}", fix="Check its permissions.") from e


def _chunks(url: str, timeout: float, max_bytes: int) -> Iterator[tuple[bytes, int | None]]:
    """The body, with network errors in words. They are `OSError` too, and would else pass for a full disk."""
    deadline = time.monotonic() + timeout * MAX_SECONDS_FACTOR
    done = 0
    with _opened(url, timeout) as response:
        total = response.length
        if total is not None and total > max_bytes:
            raise _too_long(url, max_bytes)
        while True:
            try:
                chunk: bytes = response.read1(CHUNK)
            except (OSError, http.client.HTTPException) as e:
                raise _failed(url, f"broke off after {done} bytes ({_reason(e)})") from e
            if not chunk:
                break
            done += len(chunk)
            if done > max_bytes:
                raise _too_long(url, max_bytes)
            if time.monotonic() > deadline:
                raise _failed(url, f"is too slow: {done} bytes in {timeout * MAX_SECONDS_FACTOR:.0f} seconds")
            yield chunk, total
    if total is not None and done < total:
        raise _failed(url, f"broke off after {done} of {total} bytes")


def _opened(url: str, timeout: float) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "holdfast"})  # noqa: S310 - checked by the caller
    try:
        return urllib.request.urlopen(request, timeout=timeout)  # noqa: S310 - as above
    except urllib.error.HTTPError as e:
        with e:
            raise _failed(url, f"answered {e.code} {e.reason}") from e
    except (OSError, http.client.HTTPException, ValueError) as e:
        raise _failed(url, f"cannot be reached ({_reason(e)})") from e


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return "timed out"
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)


def _failed(url: str, what: str) -> HoldfastError:
    fix = "Try again later; without a network, download it elsewhere and give the path of your copy."
    return HoldfastError(f"{url} {what}", fix=fix)


def _too_long(url: str, max_bytes: int) -> HoldfastError:
    return HoldfastError(f"{url} is longer than {max_bytes} bytes", fix="Check the address: this is another file.")
