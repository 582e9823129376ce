"""The verbs over an online store on Redis."""

from __future__ import annotations

import pytest
from tiny_company import SETS

from holdfast.errors import StoreError
from holdfast.pipelines.archive import needed_versions
from holdfast.pipelines.bootstrap import open_workspace
from holdfast.pipelines.materialize import materialize
from holdfast.pipelines.models import promote
from holdfast.pipelines.serve_champion import serving, unserved
from redis_server import Way, redis_project


def test_what_is_promoted_and_materialised_is_served_from_redis(copied, opened, monkeypatch) -> None:
    with redis_project() as project:
        way = Way()
        monkeypatch.setattr("holdfast.stores.online_redis._PREFIX", f"holdfast:{project}:{{}}:")
        environ = {"HOLDFAST_REDIS_URL": way.address}
        workspace = open_workspace("demo", root=copied, sets=[*SETS, "serving.store=redis"], environ=environ)
        on_files = serving(opened(copied))
        assert unserved(workspace).version == 1
        assert promote(workspace, 1, why="moved to Redis")["serving"]["model_version"] == 1
        assert unserved(workspace) is None
        now = materialize(workspace)
        assert now.generation == on_files.generation
        assert now.path.startswith(way.address)
        assert serving(workspace) == now
        assert needed_versions(workspace)[1] == "is champion"
        way.cut()
        with pytest.raises(StoreError, match="HOLDFAST_REDIS_URL"):
            materialize(workspace)
        workspace.state.close()
