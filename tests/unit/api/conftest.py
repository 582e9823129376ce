"""An API over a small, real store and bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from holdfast.api.app import create_app
from holdfast.config.business import ServingSection
from holdfast.models.bundle import Bundle
from serving_world import HERE, NOW, World, train

Open = Callable[..., TestClient]


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return train(3)


@pytest.fixture(scope="session")
def second_bundle() -> Bundle:
    return train(4, estimator="logistic")


@pytest.fixture
def empty(tmp_path: Path) -> World:
    """Folders with nothing in them."""
    return World(tmp_path)


@pytest.fixture
def world(empty: World, bundle: Bundle) -> World:
    """A project whose model 1 serves."""
    empty.promote(bundle, "1")
    return empty


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_api(clock: Clock) -> Iterator[Open]:
    """Start the API of a world, with settings."""
    with ExitStack() as stack:

        def start(world: World, **settings: Any) -> TestClient:
            app = create_app(world.online, world.models, ServingSection(**settings), clock=clock, project="demo")
            # an error that leaves the app would be raised here: the client must get a 500 instead
            return stack.enter_context(TestClient(app, HERE, raise_server_exceptions=True, follow_redirects=False))

        yield start


@pytest.fixture
def api(world: World, open_api: Open) -> TestClient:
    return open_api(world)
