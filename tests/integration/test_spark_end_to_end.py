"""A company on DuckDB and on Spark, by configuration alone: the same dataset, bytes and scores."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from holdfast.errors import ConfigError
from holdfast.pipelines.bootstrap import Workspace, open_workspace
from holdfast.pipelines.build import build
from holdfast.pipelines.score import score
from holdfast.pipelines.simulate import simulate
from holdfast.pipelines.train import train
from holdfast.stores.spark_engine import SparkEngine

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "pipelines"))
from tiny_company import files_of, open_tiny, put_conf

pytestmark = pytest.mark.slow

REASONS_WITHIN = 1e-6
TABLES = ("customers", "plans", "usage", "tickets", "treatments")


@pytest.fixture(scope="module")
def on_spark(spark_settings: dict[str, str]) -> Callable[[Path], Workspace]:
    """Opens the company with nothing else changed than the engine."""
    options = ", ".join(f"{name}: '{value}'" for name, value in spark_settings.items())
    sets = ("data.engine.kind=spark", "data.engine.master=local[2]", f"data.engine.options={{{options}}}")
    return lambda root: open_tiny(root, sets)


@pytest.fixture(scope="module")
def company(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny company, of few tables and cutoffs: every step of Spark's costs the same, whatever its size."""
    home = tmp_path_factory.mktemp("company")
    put_conf(root, home)
    file = home / "conf" / "demo" / "data.yaml"
    declared = yaml.safe_load(file.read_text(encoding="utf-8"))
    declared["tables"] = {name: table for name, table in declared["tables"].items() if name in TABLES}
    declared["cutoffs"] = {**declared.get("cutoffs", {}), "first": "2023-03-01"}
    file.write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
    simulate(open_tiny(home))
    return home


def test_dataset_and_scores_are_those_of_duckdb(company: Path, on_spark: Callable[[Path], Workspace]) -> None:
    workspace = open_tiny(company)
    built = build(workspace)
    train(workspace)
    scored = score(workspace)
    dataset, features = files_of(built.path), files_of(workspace.var / "features")
    table = pq.read_table(scored.path / "part-0.parquet")

    spark = on_spark(company)
    with spark.engine() as engine:
        assert isinstance(engine, SparkEngine)
    again = build(spark, force=True)
    assert again.manifest.dataset_id == built.manifest.dataset_id
    assert files_of(again.path) == dataset
    score_again = score(spark)
    assert score_again.manifest == scored.manifest
    assert files_of(spark.var / "features") == features
    found = pq.read_table(score_again.path / "part-0.parquet")
    others = [name for name in table.column_names if name != "reasons"]
    assert found.schema == table.schema
    assert found.select(others).equals(table.select(others))
    for mine, theirs in zip(found["reasons"].to_pylist(), table["reasons"].to_pylist(), strict=True):
        assert [{**r, "contribution": 0} for r in mine] == [{**r, "contribution": 0} for r in theirs]
        contributions = [r["contribution"] for r in theirs]
        assert [r["contribution"] for r in mine] == pytest.approx(contributions, abs=REASONS_WITHIN)


def test_threads_change_no_byte(company: Path) -> None:
    built = [build(open_tiny(company, (f"training.threads={threads}",)), force=True) for threads in (1, 2, 4)]
    assert len({str(files_of(dataset.path)) for dataset in built}) == 1


def test_the_engine_is_no_part_of_what_a_dataset_is(root: Path) -> None:
    one, other = (
        open_workspace("demo", root=root, sets=sets, environ={}).config.hash("data", "features")
        for sets in ((), ("data.engine.kind=spark", "data.engine.options={spark.executor.memory: 2g}"))
    )
    assert one == other


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("data.engine.master=local[2]",), "master and options are Spark's"),
        (("data.engine.kind=spark", "data.engine.memory=8GB"), "memory is DuckDB's"),
        (("data.engine.kind=spark", "data.engine.options={executor: 4}"), "no setting of Spark"),
        (("data.engine.kind=sparkk",), "data.engine.kind"),
    ],
)
def test_an_engine_that_cannot_be_is_a_config_error(root: Path, sets: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_workspace("demo", root=root, sets=sets, environ={})
