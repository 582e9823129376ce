"""The Telco importer: the rebuilt past, what it refuses, and the snapshots it must give."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from holdfast.clock import Grid, naive, utc
from holdfast.config.load import load
from holdfast.errors import DataError, UsageError
from holdfast.sources.importers.telco import COLUMNS, CUSTOMERS, EXTRACT, INVOICES, PLANS, import_telco

GOOD = {
    "customerID": "A",
    "gender": "Female",
    "SeniorCitizen": "0",
    "Partner": "Yes",
    "Dependents": "No",
    "tenure": "2",
    "PhoneService": "No",
    "MultipleLines": "No phone service",
    "InternetService": "DSL",
    "OnlineSecurity": "No",
    "OnlineBackup": "Yes",
    "DeviceProtection": "No",
    "TechSupport": "No",
    "StreamingTV": "No",
    "StreamingMovies": "No",
    "Contract": "Month-to-month",
    "PaperlessBilling": "Yes",
    "PaymentMethod": "Electronic check",
    "MonthlyCharges": "29.85",
    "TotalCharges": "60.10",
    "Churn": "Yes",
}
NEW = GOOD | {"customerID": "B", "tenure": "0", "TotalCharges": " ", "Churn": "No"}


def write(folder: Path, *rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Path:
    file = folder / "telco.csv"
    with file.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return file


def day(*ymd: int) -> datetime:
    return naive(utc(date(*ymd)))


def rows_of(out: Path, table: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(out / table).to_pylist()
    return rows


def test_dates_are_rebuilt_from_tenure(tmp_path: Path) -> None:
    summary = import_telco(write(tmp_path, GOOD, NEW), tmp_path / "out")
    a, b = rows_of(tmp_path / "out", "customers")
    assert (a["started_at"], a["ended_at"]) == (day(2019, 10, 31), day(2019, 12, 31))
    assert (b["started_at"], b["ended_at"]) == (day(2019, 12, 31), None)
    assert (a["senior_citizen"], a["partner"], a["payment_method"]) == (False, True, "Electronic check")
    assert summary.rows == {"customers": 2, "plans": 2, "invoices": 2}
    assert (summary.churners, summary.blank_total_charges) == (1, 1)


def test_an_invoice_per_completed_month_at_the_monthly_price_never_the_total(tmp_path: Path) -> None:
    import_telco(write(tmp_path, GOOD, NEW), tmp_path / "out")
    assert [(r["customer_id"], r["issued_at"], r["amount"]) for r in rows_of(tmp_path / "out", "invoices")] == [
        ("A", day(2019, 11, 30), Decimal("29.85")),
        ("A", day(2019, 12, 31), Decimal("29.85")),
    ]


def test_a_plan_is_one_open_version(tmp_path: Path) -> None:
    import_telco(write(tmp_path, GOOD), tmp_path / "out")
    (plan,) = rows_of(tmp_path / "out", "plans")
    assert plan["valid_from"] == day(2019, 10, 31)
    assert plan["valid_to"] is None
    assert (plan["phone_service"], plan["contract"], plan["monthly_price"]) == (
        False, "Month-to-month", Decimal("29.85"),
    )  # fmt: skip


def test_the_same_file_gives_the_same_bytes_whatever_its_order(tmp_path: Path) -> None:
    import_telco(write(tmp_path, GOOD, NEW), tmp_path / "one")
    import_telco(write(tmp_path, NEW, GOOD), tmp_path / "two")
    for table in ("customers", "plans", "invoices"):
        part = Path(table) / "part-0.parquet"
        assert (tmp_path / "one" / part).read_bytes() == (tmp_path / "two" / part).read_bytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tenure": "2.5"}, "column 'tenure': not whole months .* in 1 row .line 3: '2.5'"),
        ({"tenure": "-1"}, "column 'tenure'"),
        ({"tenure": "99999999999999"}, "column 'tenure'"),
        ({"tenure": "3", "TotalCharges": " "}, "column 'TotalCharges': blank after a completed month"),
        ({"MonthlyCharges": "29.855"}, "column 'MonthlyCharges': not an amount"),
        ({"MonthlyCharges": "NaN"}, "column 'MonthlyCharges': not an amount"),
        ({"MonthlyCharges": "1e30"}, "column 'MonthlyCharges': not an amount"),
        ({"MonthlyCharges": "-1"}, "column 'MonthlyCharges': not an amount"),
        ({"TotalCharges": "lots"}, "column 'TotalCharges': not an amount"),
        ({"Churn": "Maybe"}, "column 'Churn': neither Yes nor No in 1 row .line 3: 'Maybe'"),
        ({"Partner": ""}, "column 'Partner': neither Yes nor No"),
        ({"Contract": " "}, "column 'Contract': blank values"),
        ({"customerID": "A"}, "column 'customerID': ids given twice in 1 row .line 3: 'A'"),
        ({"customerID": ""}, "column 'customerID': blank ids"),
    ],
)
def test_wrong_cells_are_named_with_their_lines(tmp_path: Path, change: dict[str, str], words: str) -> None:
    file = write(tmp_path, GOOD, NEW | change)
    with pytest.raises(DataError, match=words) as caught:
        import_telco(file, tmp_path / "out")
    assert str(file) in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["telco.csv"]


def test_problems_are_bounded(tmp_path: Path) -> None:
    bad = [GOOD | {"customerID": f"C{i}", "tenure": "x", "Churn": "?"} for i in range(100)]
    with pytest.raises(DataError) as caught:
        import_telco(write(tmp_path, GOOD, *bad), tmp_path / "out")
    assert [p.count for p in caught.value.problems] == [100, 100]
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"customerID,tenure\nA,1\n", "lacks columns: gender, "),
        (b"a,a\n1,2\n", "has columns twice: a"),
        ((",".join(COLUMNS) + "\n").encode(), "has a header and no rows"),
        ((",".join(COLUMNS) + "\nA,1\n").encode(), "not 21 cells"),
        ((",".join(COLUMNS) + '\n"A').encode(), "line 2 is not CSV"),
        ((",".join(COLUMNS) + "\nJos\xe9,").encode("latin-1"), "line 2: byte 0xe9 is not UTF-8"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "telco.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=words):
        import_telco(file, tmp_path / "out")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        import_telco(tmp_path / "none.csv", tmp_path / "out")
    with pytest.raises(DataError, match="cannot be read"):
        import_telco(tmp_path, tmp_path / "out")


def test_nobody_who_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nobody left"):
        import_telco(write(tmp_path, NEW), tmp_path / "out")


def test_an_earlier_import_is_replaced_and_other_things_are_not(tmp_path: Path) -> None:
    out = tmp_path / "out"
    import_telco(write(tmp_path, GOOD, NEW), out)
    import_telco(write(tmp_path, GOOD), out)
    assert len(rows_of(out, "customers")) == 1
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"thesis\.txt"):
        import_telco(write(tmp_path, GOOD), out)
    assert (out / "thesis.txt").read_text() == "mine"


def test_the_real_file_gives_the_snapshots_design_section_6_names(
    tmp_path: Path, shared_data: Callable[[str], Path]
) -> None:
    out = tmp_path / "out"
    summary = import_telco(shared_data("telco/Telco-Customer-Churn.csv"), out)
    assert summary.rows["customers"] == 7043
    assert (summary.churners, summary.blank_total_charges) == (1869, 11)
    counts = []
    for months in range(-12, 0):
        cutoff = Grid(1).step(EXTRACT, months)
        query = f"""
            select count(*), count(*) filter (where ended_at >= $c and ended_at < $e)
            from read_parquet('{out}/customers/*.parquet')
            where started_at < $c and (ended_at is null or ended_at >= $c)"""
        counts += duckdb.execute(query, {"c": naive(cutoff), "e": naive(Grid(1).step(cutoff, 1))}).fetchall()
    assert sum(n for n, _ in counts) == 68_627
    assert [positives for _, positives in counts] == [0] * 11 + [1869]
    assert counts[-1][0] == 7032
    invoices = f"read_parquet('{out}/invoices/*.parquet')"
    total = duckdb.execute(f"select count(*), sum(amount) from {invoices}").fetchall()
    assert total == [(227_990, Decimal("16055091.45"))]


def test_the_project_declares_what_the_importer_writes(root: Path) -> None:
    config = load(root / "conf" / "telco", environ={}).config
    assert config.data.known_as_of == config.data.complete_through == EXTRACT
    for name, schema in (("customers", CUSTOMERS), ("plans", PLANS), ("invoices", INVOICES)):
        table = config.data.tables[name]
        assert set(table.source_columns()) == set(schema.names), name
        assert table.kind == "customers" or table.end_state, name
    assert config.data.stays is not None
    customers = config.data.stays[1]
    assert {c.known_at for c in customers.columns.values()} == {"extract"}
