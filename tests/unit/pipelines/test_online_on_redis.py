"""The verbs over an online store on Redis."""

from __future__ import annotations

from contextlib import closing
from importlib import import_module

import numpy as np
import pytest
from tiny_company import SETS

from holdfast.errors import DataError, StoreError
from holdfast.pipelines.archive import needed_versions
from holdfast.pipelines.bootstrap import open_workspace
from holdfast.pipelines.materialize import materialize
from holdfast.pipelines.models import promote
from holdfast.pipelines.parity import verify_serving
from holdfast.pipelines.serve_champion import serving, unserved
from holdfast.stores.online_redis_format import _HEAD
from redis_server import ADDRESS, Way, redis_project


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
        assert verify_serving(workspace, sample=10_000).unverifiable == ()
        with closing(workspace.online.reader()) as reader:
            meta = reader.meta
        with closing(import_module("redis").Redis.from_url(ADDRESS)) as client:
            (key,) = client.scan_iter(f"holdfast:{project}:*:rows")
            customer = min(client.hkeys(key))
            row = bytearray(client.hget(key, customer))
            feature = int(np.flatnonzero(~np.isnan(meta.vector(bytes(row[_HEAD.size :]))))[0])
            row[_HEAD.size + 4 * feature] ^= 1
            client.hset(key, customer, bytes(row))
        with pytest.raises(DataError, match=f"features.{meta.numbers[feature]}: served otherwise") as caught:
            verify_serving(workspace, sample=10_000)
        assert f"{customer.decode()}: served " in str(caught.value)
        way.cut()
        with pytest.raises(StoreError, match="HOLDFAST_REDIS_URL"):
            materialize(workspace)
        workspace.state.close()
