"""A thin door to ``holdfast run``: ``python run_pipeline.py --mode full --project demo``.

Modes: full, data, features, train, score, decide, monitor.
"""

import sys

from holdfast.cli.entry import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
