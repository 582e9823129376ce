"""Holdfast: a customer-churn platform that is correct in time.

    from holdfast import Project

    demo = Project("demo")
    demo.simulate()
    demo.build()
    report = demo.train()

`Project` has the same verbs as the ``holdfast`` command and returns the same reports.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

__all__ = ["DataError", "Dataset", "HoldfastError", "NotReadyError", "Project", "__version__"]

_WHERE = {
    "DataError": "holdfast.errors",
    "Dataset": "holdfast.artifacts.dataset",
    "HoldfastError": "holdfast.errors",
    "NotReadyError": "holdfast.errors",
    "Project": "holdfast.pipelines.project",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first asked for: ``import holdfast`` itself loads nothing."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'holdfast' has no attribute {name!r}; public are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
