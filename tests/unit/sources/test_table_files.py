"""Which files a declared table is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import DataError
from holdfast.sources.files import table_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "usage/2024/b.parquet", "usage/a.parquet", "usage/.hidden.parquet", "usage/_temporary/c.parquet",
        "usage/readme.txt", "one.csv", "two.CSV", ".three.csv", "mixed/a.csv", "mixed/b.parquet",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("one.csv", ["one.csv"]),
        ("usage", ["usage/2024/b.parquet", "usage/a.parquet"]),
        ("usage/*.parquet", ["usage/a.parquet"]),
        ("usage/**/*.parquet", ["usage/2024/b.parquet", "usage/a.parquet"]),
        ("[ot]*.[cC]*", ["one.csv", "two.CSV"]),
        ("*.csv", ["one.csv"]),
    ],
)
def test_a_path_is_a_file_a_folder_or_a_glob(folder: Path, path: str, expected: list[str]) -> None:
    """In order, without what is hidden or temporary."""
    assert [f.relative_to(folder).as_posix() for f in table_files(folder, path, where="t")] == expected
    absolute = table_files(Path("/nowhere"), str(folder / path), where="t")
    assert [f.relative_to(folder).as_posix() for f in absolute] == expected


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("on.csv", r"t\.path: no Parquet or CSV file at .*on\.csv\. Check path: did you mean 'one.csv'"),
        ("nowhere/x.csv", "the folder .*nowhere does not exist"),
        ("usage/*.xlsx", "no Parquet or CSV file"),
        ("mixed", r"holds \.csv, \.parquet files\. Give one kind"),
        ("usage/readme.txt", r"holds \.txt files"),
    ],
)
def test_what_is_not_there_or_cannot_be_read(folder: Path, path: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        table_files(folder, path, where="t.path")
