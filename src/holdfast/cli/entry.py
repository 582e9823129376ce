"""The ``holdfast`` program, in a process where nothing but Holdfast runs."""

from __future__ import annotations

import sys
from typing import Any

# Where scikit-learn is installed, XGBoost and LightGBM import it for wrappers that nothing here uses: a second of every
# start, and 60 MB. Importing this module leaves it out of the process and of the workers that it spawns.
_modules: dict[str, Any] = sys.modules
_modules.setdefault("sklearn", None)

from holdfast.cli.main import main  # noqa: E402

__all__ = ["main"]
