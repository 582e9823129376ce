"""The ``holdfast`` program, in a process where nothing but Holdfast runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

# Where scikit-learn is installed, XGBoost and LightGBM import it for wrappers that nothing here uses: a second of every
# start, and 60 MB. Importing this module leaves it out of the process and of the workers that it spawns.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("sklearn", None)


def main(words: Sequence[str] | None = None) -> int:
    """See `holdfast.cli.main.main`, which is imported only here: after the line above."""
    from holdfast.cli.main import main as run

    return run(words)
