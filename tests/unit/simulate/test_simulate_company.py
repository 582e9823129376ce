"""Files: the same arguments give the same bytes; folders are replaced whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import StoreError, UsageError
from holdfast.simulate import Scenario, is_current, simulate
from holdfast.simulate import company as company_module
from holdfast.simulate.params import load_params

SMALL: dict[str, Any] = {"customers": 200, "months": 5, "seed": 3}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "deep" / "sources", tmp_path / "truth"


def test_same_arguments_write_the_same_bytes(places: tuple[Path, Path], tmp_path: Path) -> None:
    one = simulate(*places, **SMALL)
    two = simulate(tmp_path / "again", tmp_path / "again_truth", **SMALL)
    assert one == two
    assert contents(places[0]) == contents(tmp_path / "again")
    assert contents(places[1]) == contents(tmp_path / "again_truth")
    simulate(tmp_path / "again", tmp_path / "again_truth", **(SMALL | {"seed": 4}))
    assert contents(places[0])["usage/part-00000.parquet"] != contents(tmp_path / "again")["usage/part-00000.parquet"]


def test_each_chunk_has_its_own_stream(
    places: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk does not depend on how many follow; a second one is other customers."""
    params = load_params()
    object.__setattr__(params.company, "chunk_customers", 120)
    try:
        simulate(*places, **SMALL)
        simulate(tmp_path / "one", tmp_path / "one_truth", **(SMALL | {"customers": 120}))
    finally:
        object.__setattr__(params.company, "chunk_customers", 20_000)
    many, one = contents(places[0]), contents(tmp_path / "one")
    for name in company_module.SCHEMAS:
        assert many[f"{name}/part-00000.parquet"] == one[f"{name}/part-00000.parquet"]
        assert f"{name}/part-00001.parquet" in many


def test_description_says_what_is_there(places: tuple[Path, Path]) -> None:
    summary = simulate(*places, **SMALL, scenario=Scenario(competitor_month=2))
    said = json.loads((places[0] / "_simulation.json").read_text())
    assert said["customers"] == 200
    assert said["scenario"]["competitor_month"] == 2
    assert said["rows"] == summary.rows
    assert said["covers_until"] == "2022-06-01"
    assert said["extract_at"] == "2022-06-15"


def test_is_current_tells_what_is_asked_for(places: tuple[Path, Path]) -> None:
    out, truth = places
    assert not is_current(out, truth, **SMALL)
    simulate(out, truth, **SMALL)
    assert is_current(out, truth, **SMALL)
    assert is_current(out, **SMALL)
    assert is_current(out, **SMALL, scenario=Scenario())
    for other in (
        {"customers": 201},
        {"months": 6},
        {"seed": 4},
        {"start": date(2023, 1, 1)},
        {"scenario": Scenario(outage_month=1)},
    ):
        assert not is_current(out, truth, **(SMALL | other))
    (truth / "hazard" / "part-00000.parquet").unlink()
    assert not is_current(out, truth, **SMALL)
    (out / "_simulation.json").write_text("{")
    assert not is_current(out, **SMALL)


def test_progress_counts_to_its_total(places: tuple[Path, Path]) -> None:
    calls: list[tuple[int, int]] = []
    simulate(*places, **SMALL, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(k, 5) for k in range(1, 6)]


def test_the_smallest_company_works(places: tuple[Path, Path]) -> None:
    summary = simulate(*places, customers=1, months=1, seed=0)
    assert summary.rows["customers"] == 1


def beside(places: tuple[Path, Path]) -> list[str]:
    return sorted(p.name for place in places for p in place.parent.iterdir() if p.name.startswith("."))


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_a_failing_writer_leaves_what_was_there(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    simulate(*places, **SMALL)
    old = [contents(place) for place in places]
    write_part, written = company_module.write_part, []

    def failing(table: Any, path: Path) -> None:
        if len(written) == 4:
            raise error
        written.append(path)
        write_part(table, path)

    monkeypatch.setattr(company_module, "write_part", failing)
    with pytest.raises(StoreError if isinstance(error, OSError) else KeyboardInterrupt):
        simulate(*places, **(SMALL | {"seed": 9}))
    assert [contents(place) for place in places] == old
    assert beside(places) == []


def test_a_killed_run_leaves_what_was_there_and_the_next_one_cleans_up(places: tuple[Path, Path]) -> None:
    simulate(*places, **SMALL)
    old = [contents(place) for place in places]
    program = (
        "import os, sys; from pathlib import Path; from holdfast.simulate import simulate\n"
        "simulate(Path(sys.argv[1]), Path(sys.argv[2]), customers=200, months=5, seed=9,"
        " progress=lambda done, total: os._exit(9) if done == total else None)"
    )
    run = subprocess.run([sys.executable, "-c", program, *map(str, places)], check=False)
    assert run.returncode == 9
    assert [contents(place) for place in places] == old
    assert len(beside(places)) == 2
    simulate(*places, **(SMALL | {"seed": 9}))
    assert beside(places) == []
    assert is_current(*places, **(SMALL | {"seed": 9}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"customers": 0},
        {"customers": 10_000_000},
        {"months": 0},
        {"seed": -1},
        {"start": date(2022, 1, 2)},
        {"scenario": Scenario(outage_month=5)},
    ],
)
def test_impossible_arguments_are_refused(places: tuple[Path, Path], wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        simulate(*places, **(SMALL | wrong))
    assert not places[0].exists()


def test_truth_stays_apart_from_the_tables(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lies in the other"):
        simulate(tmp_path / "out", tmp_path / "out" / "truth", **SMALL)
