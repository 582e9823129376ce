"""Companies to look at, each simulated once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simulated_company import SEED, Company, make

from holdfast.simulate import Scenario


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return make(tmp_path_factory.mktemp("company"), customers=6000, months=30, seed=SEED)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A smaller company without any scenario, to compare the scenarios with."""
    return make(tmp_path_factory.mktemp("plain"), customers=2000, months=12, seed=SEED)


@pytest.fixture
def with_scenario(tmp_path: Path) -> Any:
    def build(**switches: Any) -> Company:
        return make(tmp_path, customers=2000, months=12, seed=SEED, scenario=Scenario(**switches))

    return build
