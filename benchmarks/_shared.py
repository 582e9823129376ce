"""What benchmarks share: the machine and the versions, printed first (no dates), memory, and peers' environments."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import venv
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("holdfast", "numpy", "duckdb", "lightgbm", "xgboost-cpu")
GIB = 1024**3
HERE = Path(__file__).resolve().parent


def machine() -> str:
    """Cores, memory, Python and library versions in two lines."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"machine: {cores} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}\n"
        f"Python {platform.python_version()}, {versions}"
    )


def peak_memory() -> float:
    """The most memory this process has held, in GiB; NaN where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("nan")
    kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kib * 1024 / GIB


def peers_python(folder: Path, requirements: str, *, make: bool) -> Path:
    """The Python of the peers' environment, made and filled where asked for: it shares nothing with ours.

    Parameters
    ----------
    requirements : the name in requirements-NAME.txt
    """
    python = folder / "bin" / "python"
    if make:
        venv.create(folder, with_pip=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "-r", str(HERE / f"requirements-{requirements}.txt")]
        subprocess.run(install, check=True, stdout=sys.stderr)
    return python
