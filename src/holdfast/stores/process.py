"""Which process started a run, and whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def here() -> tuple[str, int, str]:
    """This process: host, pid and when it started (in the kernel's ticks; empty where unknown)."""
    pid = os.getpid()
    return socket.gethostname(), pid, started(pid)


def started(pid: int) -> str:
    """When a process started, as /proc says; empty where there is no /proc or no such process.

    A container restarted under the same name gives its process the same host and pid; only this differs.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name, in parentheses, may hold spaces
    return fields[19] if len(fields) > 19 else ""


def is_dead(host: str, pid: int, process_started: str) -> bool:
    """Whether that process is known to be gone; of another host nothing is known, so False."""
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it lives, under another user
    now = started(pid)
    return bool(process_started and now and now != process_started)
