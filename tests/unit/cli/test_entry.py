"""The program leaves out what its libraries would import for nothing."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from holdfast.cli.entry import main
import lightgbm, xgboost
from holdfast.models.registry import ESTIMATORS
assert "lightgbm" in ESTIMATORS
sys.exit(main(["--version"]) or any(name.startswith("sklearn.") for name in sys.modules))
"""


def test_scikit_learn_is_not_imported():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("holdfast ")
