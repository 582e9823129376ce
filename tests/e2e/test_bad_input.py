"""Bad input: a clear message (what, where, the fix), the right exit code, and nothing half-written (issue 2, 6)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from company import Call, tree

ALLOWED = {"var/shop/.lock", *(f"var/shop/state.db{suffix}" for suffix in ("", "-wal", "-shm"))}
"""A refused run is recorded; that is all it may write."""


def edit(name: str, change: Callable[[list[list[str]]], list[list[str]]]) -> Callable[[Path], None]:
    def apply(tables: Path) -> None:
        file = tables / name
        rows = [line.split(",") for line in file.read_text(encoding="utf-8").splitlines()]
        file.write_text("\n".join(",".join(row) for row in change(rows)) + "\n", encoding="utf-8")

    return apply


def remove(tables: Path) -> None:
    (tables / "visits.csv").unlink()


def latin(tables: Path) -> None:
    file = tables / "customers.csv"
    file.write_bytes(file.read_text(encoding="utf-8").replace("north", "Zürich").encode("latin-1"))


def rename(rows: list[list[str]]) -> list[list[str]]:
    return [["visit_id", "customer_id", "visited_at", "minuts"], *rows[1:]]


def wrong_type(rows: list[list[str]]) -> list[list[str]]:
    return [*rows[:5], [*rows[5][:3], "ten"], *rows[6:]]


def twice(rows: list[list[str]]) -> list[list[str]]:
    return [*rows, [*rows[1][:3], "elsewhere"]]


def backwards(rows: list[list[str]]) -> list[list[str]]:
    return [*rows[:1], [rows[1][0], "2023-05-01", "2023-04-01", rows[1][3]], *rows[2:]]


def header_only(rows: list[list[str]]) -> list[list[str]]:
    return rows[:1]


def nobody_leaves(rows: list[list[str]]) -> list[list[str]]:
    return [rows[0], *([*row[:2], "", row[3]] for row in rows[1:])]


def until(*ends: str) -> Callable[[list[list[str]]], list[list[str]]]:
    """Give plans a valid_to, and the first customer two versions."""

    def apply(rows: list[list[str]]) -> list[list[str]]:
        first = rows[1]
        versions = [[first[0], "2023-01-01", "10.00", ends[0]], [first[0], "2023-03-01", "11.00", ends[1]]]
        return [[*rows[0], "valid_to"], *versions, *([*row, ""] for row in rows[2:])]

    return apply


def mixed_zones(rows: list[list[str]]) -> list[list[str]]:
    moments = [[*row[:2], f"{row[2]} 10:00{'+02:00' if i % 2 else ''}", row[3]] for i, row in enumerate(rows[1:])]
    return [rows[0], *moments]


def next_century(rows: list[list[str]]) -> list[list[str]]:
    return [*rows[:5], [*rows[5][:2], "2123-05-01", rows[5][3]], *rows[6:]]


def day_first(rows: list[list[str]]) -> list[list[str]]:
    return [*rows[:5], [*rows[5][:2], "01/05/2023", rows[5][3]], *rows[6:]]


TABLES = [
    ("missing file", remove, ["data.tables.visits.path", "visits.csv", "Check path"]),
    ("missing column", edit("visits.csv", rename), ["table 'visits'", "'minutes' is missing", "did you mean 'minuts'"]),
    ("wrong type", edit("visits.csv", wrong_type), ["column 'minutes'", "not a number", "'ten'", "1 of", "data.yaml"]),
    ("duplicate ids", edit("customers.csv", twice), ["table 'customers'", "'customer_id'", "'K0000'", "one row per"]),
    ("end before start", edit("customers.csv", backwards), ["'ended_at' before 'started_at'", "'K0000'"]),
    ("empty table", edit("visits.csv", header_only), ["table 'visits'", "has no rows", "Check the export"]),
    ("no churner", edit("customers.csv", nobody_leaves), ["no customer ever ends", "'ended_at'", "nothing can be"]),
    ("not UTF-8", latin, ["customers.csv", "not UTF-8", "iconv"]),
    ("mixed zones", edit("visits.csv", mixed_zones), ["column 'visited_at'", "mixed zones", "2023-01-", "type: warn"]),
    ("in the future", edit("visits.csv", next_century), ["'visited_at'", "later than tomorrow", "2123-05-01", "1 of"]),
    ("day first", edit("visits.csv", day_first), ["not a time", "'01/05/2023'", "Write them as 2024-03-01"]),
]
VALID_TO = ("--set", "data.tables.plans.valid_to=valid_to")
HISTORIES = [
    (
        "overlapping versions",
        until("2023-04-01", ""),
        ["table 'plans'", "overlap: 2 versions", "'K0000'", "overlap: drop"],
    ),
    ("backwards", until("2022-12-01", ""), ["'valid_to' before 'valid_from' in 1 of", "'K0000'", "order: drop"]),
]


@pytest.mark.parametrize(("spoil", "said"), [case[1:] for case in TABLES], ids=[case[0] for case in TABLES])
@pytest.mark.parametrize("verb", ["build", "check"])
def test_spoiled_tables_are_refused(verb: str, spoil: Callable[[Path], None], said: list[str], shop: Path, home: Path,
                                    call: Call) -> None:  # fmt: skip
    spoil(shop)
    before = tree(home)
    got = call(verb, "--project", "shop")
    assert got.code == 1
    assert got.out == ""
    assert "Traceback" not in got.err
    for words in said:
        assert words in got.err
    assert {p: s for p, s in tree(home).items() if p not in ALLOWED} == before


@pytest.mark.parametrize(("change", "said"), [case[1:] for case in HISTORIES], ids=[case[0] for case in HISTORIES])
def test_histories_that_cannot_be_are_refused_or_dropped(
    change: Callable[[list[list[str]]], list[list[str]]], said: list[str], shop: Path, home: Path, call: Call
) -> None:
    edit("plans.csv", change)(shop)
    before = tree(home)
    got = call("build", "--project", "shop", *VALID_TO)
    assert (got.code, got.out) == (1, "")
    for words in said:
        assert words in got.err
    assert {p: s for p, s in tree(home).items() if p not in ALLOWED} == before
    drop = ("--set", f"data.tables.plans.checks={{{said[-1]}}}")
    report = call("check", "--project", "shop", *VALID_TO, *drop, "--json").json["report"]
    plans = next(t for t in report["tables"] if t["name"] == "plans")
    assert list(plans["dropped"]) == [said[-1].partition(":")[0]]
    shown = call("check", "--project", "shop", *VALID_TO, *drop)
    assert "Dropped: table 'plans'" in shown.out


def test_a_source_that_vanishes_after_the_check(shop: Path, home: Path, call: Call) -> None:
    assert call("check", "--project", "shop").code == 0
    remove(shop)
    before = tree(home)
    got = call("build", "--project", "shop")
    assert (got.code, got.out) == (1, "")
    assert "data.tables.visits.path: no Parquet or CSV file at" in got.err
    assert {p: s for p, s in tree(home).items() if p not in ALLOWED} == {
        p: s for p, s in before.items() if p not in ALLOWED
    }


def test_what_is_warned_of_is_shown_and_counted(shop: Path, home: Path, call: Call) -> None:
    edit("visits.csv", lambda rows: [*rows, ["V-1", "K9999", "2023-05-01", "5"]])(shop)
    got = call("check", "--project", "shop")
    assert got.code == 0
    assert "Warning: table 'visits'" in got.out
    assert "customers that table 'customers' does not have in 1 of" in " ".join(got.out.split())


SETTINGS = [
    ("data.tables.visits.timezone=Europe/Berlim", ["data.tables.visits.timezone", "no time zone", "Europe/Berlin"]),
    (
        "data.tables.visits.checks={overlap: drop}",
        ["overlap is no check of a table of events", "conflict, foreign_key"],
    ),
    ("data.tables.visits.checks={tpye: drop}", ["data.tables.visits.checks", "'tpye'", "type"]),
    ("data.tables.visits.database={url: 'postgresql://me:pw@h/d', table: t}", ["a password does not belong into YAML"]),
    ("data.cutoffs.first=2020-01-01", ["data.cutoffs.first", "2020-01-01", "data begins (2023-", "Choose a later"]),
    ("data.label.horizon=36m", ["data.label.horizon", "36m is longer than the history", "Shorten the horizon"]),
    ("data.label.horizn=2m", ["data.label.horizn", "not a known key", "did you mean 'horizon'?"]),
    ("features.windows=[3y]", ["features.windows", "'3y' is not a span", "30d, 2w or 3m"]),
]


@pytest.mark.parametrize(("setting", "said"), SETTINGS, ids=[s.partition("=")[0] for s, _ in SETTINGS])
def test_settings_that_do_not_fit_are_refused(
    setting: str, said: list[str], shop: Path, home: Path, call: Call
) -> None:
    before = tree(home)
    got = call("build", "--project", "shop", "--set", setting)
    assert (got.code, got.out) == (2, "")
    for words in said:
        assert words in got.err
    assert {p: s for p, s in tree(home).items() if p not in ALLOWED} == before


def test_a_typo_in_yaml_names_the_file_the_line_and_the_key(shop: Path, home: Path, call: Call) -> None:
    file = home / "conf" / "shop" / "data.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("horizon", "horizn"), encoding="utf-8")
    before = tree(home)
    got = call("build", "--project", "shop")
    assert got.code == 2
    assert "conf/shop/data.yaml:3 data.label.horizn: is not a known key. did you mean 'horizon'?" in got.err
    assert tree(home) == before


def test_all_problems_are_said_at_once_also_as_json(shop: Path, call: Call) -> None:
    remove(shop)
    edit("customers.csv", nobody_leaves)(shop)
    got = call("check", "--project", "shop", "--json")
    error = got.json["error"]
    assert (got.code, error["kind"], error["exit_code"]) == (1, "DataError", 1)
    assert {"data.tables.visits.path"} < {p["where"] for p in error["problems"]}
    assert error["problems_in_all"] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "Did you mean 'train'"),
        (["build", "--project", "shp"], "did you mean 'shop'?"),
        (["build", "--cutoffs", "first", "-p", "shop"], "--cutoffs 'first' is not known"),
        (["score", "--cutoff", "soon", "-p", "shop"], "--cutoff 'soon' is not a date"),
        (["import", "telko"], "did you mean 'telco'?"),
        (["init", "Mine!", "--table", "a=b"], "cannot name a project"),
        (["init", "mine"], "--table customers=customers.csv"),
        (["init", "shop", "--table", "customers=x.csv"], "is there already"),
        (["simulate", "-p", "shop"], "has tables of its own"),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) else "",
)
def test_wrong_words_exit_with_2(words: list[str], said: str, shop: Path, home: Path, call: Call) -> None:
    (home / "conf" / "telko").mkdir()
    shutil.copytree(home / "conf" / "shop", home / "conf" / "telko", dirs_exist_ok=True)
    got = call(*words)
    assert (got.code, got.out) == (2, "")
    assert said in got.err


@pytest.mark.parametrize("verb", ["train", "score", "decide", "materialize", "monitor", "models show"])
def test_a_step_too_early_names_the_step_before(verb: str, shop: Path, call: Call) -> None:
    got = call(*verb.split(), "--project", "shop")
    assert got.code == 1
    assert "Run: holdfast" in got.err
