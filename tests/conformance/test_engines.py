"""Both engines, one suite: every method of the protocol, and what numbers, times and texts mean to each."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holdfast.artifacts.engine import Part
from holdfast.clock import utc
from holdfast.errors import DataError
from holdfast.sources.columns import as_boolean, as_fixed, as_text, as_time
from holdfast.sources.zones import local_to_utc
from holdfast.stores.engine import DuckDBEngine

WIDE = "decimal(38, 0)"
MAR = datetime(2024, 3, 1)  # noqa: DTZ001


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "spark":
        yield request.getfixturevalue("spark_engine")
        return
    with DuckDBEngine(threads=2) as engine:
        yield engine


def rows(engine: Any, expression: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.to_arrow(expression).to_pylist()
    return found


def column(engine: Any, values: list[Any], type_: pa.DataType, expression: Any) -> list[Any]:
    """What an expression over a column ``x`` makes of values, in their order."""
    numbered = pa.table({"i": pa.array(range(len(values)), pa.int64()), "x": pa.array(values, type_)})
    table = engine.from_arrow(numbered, "some_values")
    made = table.select("i", y=expression(table.x)).order_by("i")
    return list(engine.to_arrow(made).column("y").to_pylist())


# reading


def test_parquet_comes_as_it_is_typed_and_csv_as_text(engine: Any, tmp_path: Path) -> None:
    csv, parquet = tmp_path / "it's.csv", tmp_path / "p.parquet"
    csv.write_text('id,a "b",n\n007,"x,\ny",1.50\n\'8\',,\n"#9","""q""",-1\n')
    pq.write_table(pa.table({"id": [7], "n": [1.5]}), parquet)
    assert list(engine.columns([csv])) == ["id", 'a "b"', "n"]
    assert list(engine.columns([parquet])) == ["id", "n"]
    assert rows(engine, engine.read([csv], "raw", text=True).order_by("id")) == [
        {"id": "#9", 'a "b"': '"q"', "n": "-1"}, {"id": "'8'", 'a "b"': None, "n": None},
        {"id": "007", 'a "b"': "x,\ny", "n": "1.50"},
    ]  # fmt: skip
    assert rows(engine, engine.read([parquet], "raw", text=False)) == [{"id": 7, "n": 1.5}]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_of_other_columns_are_united_by_name(engine: Any, tmp_path: Path, suffix: str) -> None:
    files = [tmp_path / f"{i}.{suffix}" for i in range(3)]
    if suffix == "csv":
        for file, text in zip(files, ("a,b\n1,x\n", "b,a\ny,2\n", "a,c\n3,z\n"), strict=True):
            file.write_text(text)
    else:
        pq.write_table(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}), files[0])
        pq.write_table(pa.table({"b": ["y"], "a": pa.array([2], pa.int64())}), files[1])
        pq.write_table(pa.table({"a": pa.array([3], pa.int16()), "c": ["z"]}), files[2])
    found = rows(engine, engine.read(files, "raw", text=suffix == "csv").order_by("a"))
    told = [tuple(str(row[c]) for c in "abc") for row in found]
    assert told == [("1", "x", "None"), ("2", "y", "None"), ("3", "None", "z")]


def test_types_of_parquet_that_exports_use(engine: Any, tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    half = datetime(1969, 3, 1, 12, 0, 0, 500_000)  # noqa: DTZ001
    table = {
        "seconds": pa.array([half, None], pa.timestamp("ms")),
        "nanos": pa.array([half, None], pa.timestamp("ns")),
        "tokyo": pa.array([half, None], pa.timestamp("us", "Asia/Tokyo")),
        "day": pa.array([half.date(), None], pa.date32()),
        "small": pa.array([1, None], pa.uint8()),
        "large": pa.array([1 << 40, None], pa.uint64()),
        "word": pa.array(["a", None]).dictionary_encode(),
        "flag": [True, None],
        "price": pa.array([Decimal("1.25"), None], pa.decimal128(9, 2)),
    }
    pq.write_table(pa.table(table), file)
    raw = engine.read([file], "raw", text=False)
    assert raw.schema()["tokyo"].timezone == "UTC"
    assert raw.schema()["nanos"].timezone is None
    times = {c: as_time(raw[c]) for c in ("seconds", "nanos", "tokyo", "day")}
    numbers = {c: as_fixed(raw[c], 2) for c in ("small", "large", "price")}
    found = rows(engine, raw.select(**times, **numbers, word=raw.word, flag=as_boolean(raw.flag)))
    assert found[0] == {
        "seconds": half, "nanos": half, "tokyo": half, "day": half.replace(hour=0, microsecond=0),
        "small": 100, "large": 100 << 40, "price": 125, "word": "a", "flag": 1,
    }  # fmt: skip
    assert set(found[1].values()) == {None}


@pytest.mark.parametrize(
    ("content", "said"), [(b"a,b\n1,2\n3,4,5\n", "more or fewer cells"), (b"a,b\n1,\xff\xfe\n", "not UTF-8")]
)
def test_a_broken_csv_is_a_data_error_that_names_the_file(
    engine: Any, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "broken.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        engine.to_arrow(engine.read([file], "raw", text=True))
    assert "broken.csv" in str(caught.value)


def test_a_file_that_is_not_parquet_is_a_data_error(engine: Any, tmp_path: Path) -> None:
    file = tmp_path / "not.parquet"
    file.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match=r"not\.parquet"):
        engine.to_arrow(engine.read([file], "raw", text=False))


# keeping


def test_tables_are_kept_replaced_and_dropped(engine: Any) -> None:
    numbers = engine.from_arrow(pa.table({"n": [1, 2, 3]}), "numbers")
    kept = engine.materialize(numbers.filter(numbers.n > 1), "kept")
    engine.drop("numbers", "never_there")
    assert sorted(r["n"] for r in rows(engine, kept)) == [2, 3]
    again = engine.materialize(kept.mutate(n=kept.n * 10), "again")
    assert sorted(r["n"] for r in rows(engine, again)) == [20, 30]
    more = engine.materialize(again.union(again, distinct=False), "kept")
    assert len(rows(engine, more)) == 4
    for name in ("", "a b", "Upper", 'a"; DROP TABLE x; --'):
        with pytest.raises(ValueError, match="not a table name"):
            engine.materialize(again, name)


def test_a_view_is_what_it_names_whenever_it_is_read(engine: Any) -> None:
    table = engine.from_arrow(pa.table({"n": [1, 2, 3]}), "viewed")
    view = engine.view(table.filter(table.n > 1).select(twice=table.n * 2), "more_than_one")
    assert rows(engine, view.order_by("twice")) == [{"twice": 4}, {"twice": 6}]
    again = engine.view(table.select(n=table.n), "more_than_one")
    assert rows(engine, again.aggregate(n=again.n.sum())) == [{"n": 6}]


def test_keys_that_repeat(engine: Any) -> None:
    times = pa.array([MAR, MAR, MAR, MAR.replace(day=2), None, None, MAR], pa.timestamp("us"))
    table = engine.from_arrow(pa.table({"id": ["a", "b", "a", "b", "c", "c", None], "t": times}), "with_repeats")
    both = engine.repeated(table, ["id", "t"], "both_repeat")
    assert rows(engine, both) == [{"id": "a", "t": MAR, "n": 2}]
    ids = engine.repeated(table, ["id"], "ids_repeat")
    assert rows(engine, ids.order_by("id")) == [{"id": i, "n": 2} for i in "abc"]
    assert engine.repeated(table.filter(table.id == "c"), ["id", "t"], "none_repeats") is None
    assert engine.repeated(table.filter(table.id == "z"), ["id"], "nobody_repeats") is None


def test_more_keys_than_are_sorted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.stores.engine.HASHES_AT_A_TIME", 150_000)  # more than one batch, and not all
    ids = [f"id {i % 399_990}" for i in range(400_000)]
    with DuckDBEngine(threads=2) as engine:
        found = engine.repeated(engine.from_arrow(pa.table({"id": ids}), "many"), ["id"], "many_repeat")
        assert rows(engine, found.order_by("id")) == [{"id": f"id {i}", "n": 2} for i in range(10)]
        one = engine.from_arrow(pa.table({"id": ["the same"] * 200_000}), "one_key")
        assert rows(engine, engine.repeated(one, ["id"], "one_repeats")) == [{"id": "the same", "n": 200_000}]


def test_all_but_some_tables_are_forgotten(engine: Any) -> None:
    kept, other = (engine.from_arrow(pa.table({"n": [n]}), f"forget_{n}") for n in (1, 2))
    engine.drop_others("forget_1")
    assert rows(engine, kept) == [{"n": 1}]
    with pytest.raises(Exception, match="forget_2"):
        engine.to_arrow(other)


def test_arrow_goes_in_and_comes_out_with_its_types(engine: Any) -> None:
    table = pa.table(
        {
            "n": pa.array([1, None], pa.int64()), "small": pa.array([1, None], pa.int8()),
            "t": pa.array([MAR, None], pa.timestamp("us")), "x": pa.array([0.1, None], pa.float32()),
            "s": pa.array(["ä\x1f'\\", None]), "d": pa.array([Decimal(10**37), None], pa.decimal128(38, 0)),
        }
    )  # fmt: skip
    found = engine.to_arrow(engine.from_arrow(table, "typed"))
    assert found.schema == table.schema
    assert found.equals(table)
    assert engine.to_arrow(engine.from_arrow(table.slice(0, 0), "typed")).schema == table.schema


def test_row_hashes_are_those_that_dataset_ids_rest_on(engine: Any) -> None:
    table = pa.table(
        {
            "x": pa.array(["a", "ab", "a", None, "ä"]), "y": pa.array(["b", "", None, "a", "\\ '"]),
            "n": pa.array([1, 1, -(2**62), None, 0], pa.int64()),
            "t": pa.array([MAR, MAR.replace(microsecond=500), None, datetime(1969, 1, 1, 1), MAR.replace(hour=9)],  # noqa: DTZ001
                          pa.timestamp("us")),
        }
    )  # fmt: skip
    rows_ = engine.from_arrow(table, "rows_")
    found = engine.to_arrow(rows_.select(h=engine.row_hash(rows_, ["x", "y", "n", "t"])))["h"].to_pylist()
    texts = [
        "a\x1eb\x1e1\x1e2024-03-01 00:00:00",
        "ab\x1e\x1e1\x1e2024-03-01 00:00:00.0005", f"a\x1e\x1f\x1e{-(2**62)}\x1e\x1f",
        "\x1f\x1ea\x1e\x1f\x1e1969-01-01 01:00:00", "ä\x1e\\ '\x1e0\x1e2024-03-01 09:00:00",
    ]  # fmt: skip
    assert sorted(found) == sorted(int(_md5(text)[:15], 16) for text in texts)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


# running where the rows are


@dataclass(frozen=True)
class Doubled:
    """Twice the number, the time as it came, and a list of structs."""

    fail: bool = False

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if self.fail:
                raise DataError("the batch is refused", [])
            twice = [2 * n for n in batch.column("n").to_pylist()]
            lists = [[{"word": "w", "x": float(n)}] * (n % 3) for n in batch.column("n").to_pylist()]
            yield pa.record_batch([pa.array(twice), batch.column("t"), pa.array(lists, LISTS)], names=["n", "t", "l"])


LISTS = pa.list_(pa.struct([("word", pa.string()), ("x", pa.float64())]))


def test_batches_are_mapped_to_a_table(engine: Any) -> None:
    schema = pa.schema([("n", pa.int64()), ("t", pa.timestamp("us")), ("l", LISTS)])
    table = engine.from_arrow(pa.table({"n": list(range(10)), "t": pa.array([MAR] * 10, pa.timestamp("us"))}), "ten")
    mapped = engine.map_batches(table.filter(table.n < 4), Doubled(), schema, "mapped")
    found = engine.to_arrow(mapped.order_by("n"))
    assert found.column("n").to_pylist() == [0, 2, 4, 6]
    assert found.column("t").to_pylist() == [MAR] * 4
    assert found.column("l").to_pylist()[2] == [{"word": "w", "x": 2.0}] * 2
    none = engine.map_batches(table.filter(table.n > 99), Doubled(), schema, "nobody")
    assert engine.to_arrow(none).num_rows == 0


def test_an_error_while_mapping_is_the_error_that_was_raised(engine: Any) -> None:
    table = engine.from_arrow(pa.table({"n": [1], "t": pa.array([MAR], pa.timestamp("us"))}), "one")
    with pytest.raises(DataError, match="the batch is refused"):
        engine.map_batches(table, Doubled(fail=True), pa.schema([("n", pa.int64())]), "mapped")


def test_parts_are_written_in_order_and_with_the_same_bytes(engine: Any, tmp_path: Path) -> None:
    schema = pa.schema([("customer_id", pa.string()), ("cutoff", pa.timestamp("us")), ("x", pa.float32())])
    ids = [f"c{i}" for i in range(300)]
    random.Random(7).shuffle(ids)
    data = pa.table({"customer_id": ids, "cutoff": pa.array([MAR] * 300, pa.timestamp("us")),
                     "x": [None, *(i / 7 for i in range(299))]})  # fmt: skip
    table = engine.from_arrow(data, "parts")
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    wanted = [Part(files[0], utc(MAR), table), Part(files[1], utc(MAR), table.filter(table.customer_id == "nobody"))]
    assert engine.write_parts(wanted, schema) == [300, 0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]
    written = pq.read_table(files[0])
    assert written.schema == schema
    assert written.column("customer_id").to_pylist() == sorted(ids)
    with DuckDBEngine(threads=1) as other:
        again = tmp_path / "again.parquet"
        other.write_parts([Part(again, utc(MAR), other.from_arrow(data, "parts"))], schema)
    assert again.read_bytes() == files[0].read_bytes()
    twice = table.union(table, distinct=False)
    with pytest.raises(DataError, match="null or repeated"):
        engine.write_parts([Part(tmp_path / "c.parquet", utc(MAR), twice)], schema)
    with pytest.raises(DataError, match="another cutoff"):
        engine.write_parts([Part(tmp_path / "c.parquet", utc(datetime(2024, 4, 1)), table)], schema)  # noqa: DTZ001
    assert not (tmp_path / "c.parquet").exists()


# what numbers mean


def test_sums_are_exact_beyond_64_bits_and_refused_beyond_38_digits(engine: Any) -> None:
    big = 7 * 10**18
    table = engine.from_arrow(pa.table({"n": pa.array([big, big, -1], pa.int64())}), "big")
    wide = table.n.cast(WIDE)
    row = rows(engine, table.aggregate(s=table.n.sum().cast(WIDE), ss=(wide * wide).sum().cast(WIDE)))[0]
    assert (int(row["s"]), int(row["ss"])) == (2 * big - 1, 2 * big**2 + 1)
    running = table.n.sum().over(ibis.window(order_by="n", preceding=1, following=0)).cast(WIDE)
    assert [int(r["s"]) for r in rows(engine, table.select(s=running).order_by("s"))] == [-1, big - 1, 2 * big]
    with pytest.raises(DataError, match="more than 38 digits"):
        engine.to_arrow(table.select(n=wide * wide * wide))


def test_wide_integers_become_the_same_doubles(engine: Any) -> None:
    chance = random.Random(11)
    values = [s * chance.getrandbits(b) for b in range(1, 127) for s in (1, -1)]
    values = [v for v in (*values, 2**64, -(2**64), 2**64 - 1, 2**53 + 1, -(2**53) - 1) if abs(v) < 10**38]
    found = column(engine, [Decimal(v) for v in values], pa.decimal128(38, 0), lambda x: x.cast("float64"))
    assert found == [_double(v) for v in values]


def _double(v: int) -> float:
    """DuckDB's conversion, in two halves; a negative number of one half goes by its complement."""
    if -(1 << 64) <= v < 0:
        return -float(-v - 1) - 1.0
    return float(v % (1 << 64)) + float(v >> 64) * 2.0**64


def test_nothing_counted_is_zero_and_nothing_summed_is_null(engine: Any) -> None:
    table = engine.from_arrow(pa.table({"k": ["a", "a"], "n": pa.array([1, None], pa.int64())}), "few")
    never = table.n > 99
    found = table.group_by("k").aggregate(
        all=table.count(), none=table.count(where=never), values=table.n.count(), some=table.n.count(where=never),
        s=table.n.sum(where=never), yes=(table.n == 1).sum(), mx=table.n.max(where=never), u=table.n.nunique(),
    )  # fmt: skip
    assert rows(engine, found) == [
        {"k": "a", "all": 2, "none": 0, "values": 1, "some": 0, "s": None, "yes": 1, "mx": None, "u": 1}
    ]


def test_division_is_of_doubles_and_by_nothing_is_null(engine: Any) -> None:
    table = engine.from_arrow(pa.table({"a": pa.array([7, -7], pa.int64()), "b": pa.array([2, 0], pa.int64())}), "ab")
    s = table.group_by("a").aggregate(s=table.a.sum(), b=table.b.sum())
    found = rows(engine, s.select("a", q=s.s / s.b.nullif(0), f=s.s / 2.0, w=s.s // 2).order_by("a"))
    assert found == [{"a": -7, "q": None, "f": -3.5, "w": -4}, {"a": 7, "q": 3.5, "f": 3.5, "w": 3}]


def test_casts_round_as_they_should(engine: Any) -> None:
    halves = [0.5, 1.5, 2.5, -0.5, -1.5, 2.4999]
    assert column(engine, halves, pa.float64(), lambda x: x.try_cast("int64")) == [0, 2, 2, 0, -2, 2]
    assert column(engine, [1e300, float("nan"), -1e19], pa.float64(), lambda x: x.try_cast("int64")) == [None] * 3
    thirds = [1 / 3, 1e-46, 16_777_217.0, -0.1]
    expected = pa.array(thirds, pa.float64()).cast(pa.float32(), safe=False).to_pylist()
    assert column(engine, thirds, pa.float64(), lambda x: x.cast("float32")) == expected


NUMBERS = {
    "1": 100, " 1.5 ": 150, "+5": 500, "-0.285": -29, "0.285": 29, "0.005": 1, ".5": 50, "5.": 500, "1e3": 100_000,
    "1E-2": 1, "1_000": None, "1__0": None, "1_": None, "": None, ".": None, "1,5": None, "1d": None, "1f": None,
    "0x10": None, "٣": None, "NaN": None, "inf": None, "1 000": None, "--1": None, "5e": None, "1e400": None,
    "9999999999999999": 999_999_999_999_999_900, "99999999999999999": None, "12345678901234.567": 1_234_567_890_123_457,
}  # fmt: skip


def test_numbers_in_text(engine: Any) -> None:
    assert (
        dict(zip(NUMBERS, column(engine, list(NUMBERS), pa.string(), lambda x: as_fixed(x, 2)), strict=True)) == NUMBERS
    )


def test_numbers_in_floats_are_the_shortest_decimals(engine: Any) -> None:
    ties = {0.285: 29, -0.285: -29, 0.005: 1, 1.005: 101, 2.675: 268, 1e15 + 0.125: 100_000_000_000_000_010, 0.1: 10,
            float("nan"): None, float("inf"): None, 1e17: None, 12_345_678.905: 1_234_567_891}  # fmt: skip
    assert column(engine, list(ties), pa.float64(), lambda x: as_fixed(x, 2)) == list(ties.values())
    assert column(engine, [0.285, 2.675], pa.float32(), lambda x: as_fixed(x, 2)) == [29, 268]
    many = [i / 1000 for i in range(5, 40_000, 10)]
    assert column(engine, many, pa.float64(), lambda x: as_fixed(x, 2)) == [i // 10 + 1 for i in range(5, 40_000, 10)]


def test_floats_as_text(engine: Any) -> None:
    words = {1.0: "1", 1.5: "1.5", 12_345_678.5: "12345678.5", 0.0001: "0.0001", 1e-05: "1e-05", 1e20: "1e+20",
             1.5e-10: "1.5e-10", -0.25: "-0.25", float("nan"): None, 1e16: "10000000000000000"}  # fmt: skip
    assert column(engine, list(words), pa.float64(), as_text) == list(words.values())


# what times and texts mean


TIMES = {
    "2024-3-1": MAR, "2024/03/01": MAR, "2024-03-01 00:00": MAR, "2024-03-01T00:00:00.000Z": MAR, " 2024-03-01 ": MAR,
    "2024-03-01 9:05": MAR.replace(hour=9, minute=5), "2024-03-01  09:05:07": datetime(2024, 3, 1, 9, 5, 7),  # noqa: DTZ001
    "2024-03-01T09:05:00.25+01:00": datetime(2024, 3, 1, 8, 5, 0, 250_000),  # noqa: DTZ001
    "2024-03-01 01:00 +01": MAR, "2024-03-01 01:00+0100": MAR, "2024-03-01 00:00 UTC": MAR,
    "2024-03-01 01:00 Europe/Berlin": MAR, "2024-07-01 02:00 Europe/Berlin": datetime(2024, 7, 1),  # noqa: DTZ001
    "2024-03-01 00:00:00.1234567": MAR.replace(microsecond=123_456),
    "1969-12-31 23:59:59.9999999": datetime(1969, 12, 31, 23, 59, 59, 999_999),  # noqa: DTZ001
    "infinity": datetime(9999, 12, 31), "0001-01-01": datetime(1, 1, 1),  # noqa: DTZ001
    "2024-02-30": None, "2024-13-01": None, "T12:00": None, "12:00": None, "2024": None, "2024-03": None,
    "01.03.2024": None, "03/01/2024": None, "20240301": None, "2024-03-01 24:00": None, "2024-03-01 10:00 PM": None,
    "2024-03-01 10:00 Foo/Bar": None, "epoch": None, "now": None, "yesterday": None, "": None,
}  # fmt: skip


def test_times_in_text(engine: Any) -> None:
    assert dict(zip(TIMES, column(engine, list(TIMES), pa.string(), as_time), strict=True)) == TIMES


def test_local_times_when_the_clocks_change(engine: Any) -> None:
    days = ["2024-03-31 01:59", "2024-03-31 02:30", "2024-03-31 03:00", "2024-10-27 02:30", "2024-10-27 03:00"]
    local = [datetime.fromisoformat(day) for day in days]
    found = column(engine, local, pa.timestamp("us"), lambda x: local_to_utc(x, "Europe/Berlin"))
    assert [f"{t:%H:%M}" for t in found] == ["00:59", "01:30", "01:00", "01:30", "02:00"]


def test_arithmetic_of_times(engine: Any) -> None:
    leap = datetime(2024, 2, 29, 23, 59, 59, 999_999)  # noqa: DTZ001
    times = [leap, datetime(1969, 12, 31, 23, 59, 59, 500_000), None]  # noqa: DTZ001

    def of(expression: Any) -> list[Any]:
        return column(engine, times, pa.timestamp("us"), expression)

    assert of(lambda x: x.truncate("s").epoch_seconds()) == [1_709_251_199, -1, None]
    last = of(lambda x: (x.truncate("M") + ibis.interval(months=1) - ibis.interval(days=1)).day().cast("int64"))
    assert last == [29, 31, None]
    assert of(lambda x: x + ibis.interval(microseconds=1))[0] == MAR
    assert of(lambda x: x.year().cast("int64") * 12 + x.month().cast("int64")) == [24_290, 23_640, None]
    assert of(lambda x: x.cast("string")) == ["2024-02-29 23:59:59.999999", "1969-12-31 23:59:59.5", None]


def test_nulls_in_order_greatest_and_windows(engine: Any) -> None:
    table = engine.from_arrow(
        pa.table({"k": ["a"] * 4, "n": pa.array([2, None, 1, 3], pa.int64()), "i": [0, 1, 2, 3]}), "nulls"
    )  # fmt: skip
    ordered = ibis.window(group_by="k", order_by="i")
    found = table.select(
        "i", "n", most=ibis.greatest(table.n, 2), least=ibis.least(table.n, ibis.null("int64")),
        before=table.n.lag().over(ordered), after=table.n.lead().over(ordered), number=ibis.row_number().over(ordered),
        top=table.n.max().over(ibis.window(group_by="k", order_by="i", preceding=1, following=0)),
    )  # fmt: skip
    got = rows(engine, found.order_by("n"))
    assert [r["n"] for r in got] == [1, 2, 3, None]
    by_i = sorted(got, key=lambda r: r["i"])
    assert [tuple(r[c] for c in ("most", "least", "before", "after", "number", "top")) for r in by_i] == [
        (2, 2, None, None, 0, 2), (2, None, 2, 1, 1, 2), (2, 1, None, 3, 2, 1), (3, 3, 1, None, 3, 3),
    ]  # fmt: skip


def test_texts_are_trimmed_matched_and_replaced_alike(engine: Any) -> None:
    words = [" a\t\n", "", "\r", "Ä b", None, "x+1"]
    assert column(engine, words, pa.string(), as_text) == ["a", None, None, "Ä b", None, "x+1"]
    assert column(engine, ["Yes", "f", "2"], pa.string(), as_boolean) == [1, 0, None]
    assert column(engine, ["a +1", "$1 -2"], pa.string(), lambda x: x.re_replace(" +([+-])", r"\1")) == ["a+1", "$1-2"]
    assert column(engine, ["b", "a", "Z", "ä", None], pa.string(), lambda x: x.isin(["a", "Z"])) == [
        False, True, True, False, None,
    ]  # fmt: skip
    table = engine.from_arrow(pa.table({"s": ["b", "a", "Z", "ä", None]}), "texts")
    assert [r["s"] for r in rows(engine, table.order_by("s"))] == ["Z", "a", "b", "ä", None]
