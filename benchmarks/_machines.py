"""Other types of machine on this one: an ARM64 root of Debian's packages and PyPI's wheels, and QEMU to run it.

Everything is put below one folder; the system's packages and apt's lists stay as they are, and root is not needed.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODENAME, PYTHON = "bookworm", "3.11"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
EMULATOR = "qemu-user-static:amd64"
DEBS = (
    f"python{PYTHON}-minimal", f"libpython{PYTHON}-minimal", f"libpython{PYTHON}-stdlib", "libc6", "libstdc++6",
    "libgcc-s1", "libgomp1", "libatomic1", "zlib1g", "libexpat1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5",
    "libuuid1", "libcrypt1",
)  # fmt: skip
WHEELS = ("numpy", "scipy", "pyarrow", "xgboost-cpu", "lightgbm", "narwhals", "treelite", "packaging", "threadpoolctl")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
NO_AVX = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "ARROW_USER_SIMD_LEVEL": "SSE4_2",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-FMA,-FMA4",
}


class Missing(Exception):
    """What this needs of the system or of a mirror is not there."""


@dataclass(frozen=True)
class Machine:
    """A way to run Python as another machine.

    Attributes
    ----------
    name : for people
    python : the command, without a program
    site : libraries, where they are not this Python's own
    """

    name: str
    python: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    site: Path | None = None


def machines(folder: Path, mirror: str) -> list[Machine]:
    """This machine, older processors of its kind, and ARM64; the libraries' versions are the same on all.

    Raises
    ------
    Missing
        This is no x86_64 Linux with Python 3.11, apt-get, dpkg and Debian's keyring, or a package cannot be had.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or not sys.version.startswith(PYTHON):
        raise Missing(f"this needs x86_64 Linux and Python {PYTHON}, which Debian {CODENAME} has for ARM64")
    if lacking := [tool for tool in ("apt-get", "dpkg") if shutil.which(tool) is None]:
        raise Missing(f"{' and '.join(lacking)} not found: this fetches QEMU and ARM64 packages from a Debian mirror")
    if not Path(KEYRING).exists():
        raise Missing(f"no {KEYRING}: install debian-archive-keyring")
    debian(folder, mirror)
    site = folder / "site"
    wheels(folder, site)
    emulators = folder / "emulator" / "usr" / "bin"
    here = (sys.executable,)
    arm = (str(emulators / "qemu-aarch64-static"), "-L", str(folder / "root"))
    program = str(folder / "root" / "usr" / "bin" / f"python{PYTHON}")
    old = (str(emulators / "qemu-x86_64-static"), "-cpu", "Nehalem")
    return [
        Machine("this machine", here),
        Machine("this machine, told to do without AVX and FMA", here, {**NO_AVX, **no_numpy_features()}),
        Machine("x86_64, Nehalem of 2008 (QEMU)", (*old, *here)),
        Machine("ARM64, Cortex-A57 of 2012 (QEMU)", (*arm, "-cpu", "cortex-a57", program), site=site),
        Machine("ARM64, all that QEMU knows, SVE among it", (*arm, "-cpu", "max", program), site=site),
    ]


def no_numpy_features() -> dict[str, str]:
    """The setting that keeps numpy to its baseline: every feature that it found here."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return {"NPY_DISABLE_CPU_FEATURES": " ".join(f for f in __cpu_dispatch__ if __cpu_features__[f])}


def debian(folder: Path, mirror: str) -> None:
    """QEMU and an ARM64 root with Python and the C library, by an apt of its own."""
    for part in ("lists/partial", "cache/archives/partial", "debs"):
        (folder / "apt" / part).mkdir(parents=True)
    sources = folder / "apt" / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror} {CODENAME} main\n", encoding="utf-8")
    options = {
        "Dir::State": folder / "apt", "Dir::State::lists": folder / "apt" / "lists", "Dir::State::status": "/dev/null",
        "Dir::Cache": folder / "apt" / "cache", "Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": "amd64", "APT::Architectures::": "arm64", "APT::Sandbox::User": "",
    }  # fmt: skip
    apt = ["apt-get", *(word for key, value in options.items() for word in ("-o", f"{key}={value}"))]
    run([*apt, "update", "--error-on=any"], "the Debian mirror's lists")
    run([*apt, "download", EMULATOR, *(f"{name}:arm64" for name in DEBS)], "a Debian package", folder / "apt" / "debs")
    for deb in sorted((folder / "apt" / "debs").iterdir()):
        target = folder / ("root" if deb.stem.endswith("_arm64") else "emulator")
        target.mkdir(exist_ok=True)
        run(["dpkg", "-x", str(deb), str(target)], deb.name)


def wheels(folder: Path, site: Path) -> None:
    """The ARM64 wheels of what scoring and fitting need, with the hashes of requirements.lock."""
    lock = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text(encoding="utf-8"))
    chosen = folder / "requirements.txt"
    chosen.write_text("\n".join(r for r in lock if r.split("==")[0] in WHEELS) + "\n", encoding="utf-8")
    named = [word for name in PLATFORMS for word in ("--platform", name)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    only = ["--only-binary=:all:", "--no-deps", "--require-hashes", "--python-version", PYTHON, *named]
    run([*pip, *only, "--target", str(site), "-r", str(chosen)], "an ARM64 wheel")


def run(command: list[str], what: str, cwd: Path | None = None) -> None:
    """Run a command quietly; `Missing` with the end of what it said if it fails."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Missing(f"{what} could not be had: {' | '.join(done.stdout.strip().splitlines()[-3:])}")
