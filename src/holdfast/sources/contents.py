"""Files that no engine would read as they are meant: found before they are read, or explained after."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Collection, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from holdfast.errors import MAX_PROBLEMS, DataError, Problem, shown

UNREADABLE = "a source file cannot be read"
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
BEGINNING = 1 << 20
"""How many bytes are looked at; a header is within them."""

MAGIC = {
    b"\x1f\x8b": ("is compressed (gzip)", "Unpack it."),
    b"PK\x03\x04": ("is a ZIP archive or a spreadsheet", "Save it as CSV in UTF-8."),
    b"PAR1": ("is a Parquet file", "Name it .parquet."),
    codecs.BOM_UTF16_LE: ("is not UTF-8 text but UTF-16", "Save it as UTF-8 (for example: iconv -f UTF-16 -t UTF-8)."),
    codecs.BOM_UTF16_BE: ("is not UTF-8 text but UTF-16", "Save it as UTF-8 (for example: iconv -f UTF-16 -t UTF-8)."),
}
"""What files with the name of a CSV file may be."""


def require_readable(files: Sequence[Path], declared: Collection[str]) -> None:
    """Refuse files that are not what their name says, are empty, or have a declared column twice.

    Parameters
    ----------
    files : all of one kind
    declared : the columns that are read

    Raises
    ------
    DataError
        At most `MAX_PROBLEMS`, one a file.
    """
    find = _of_csv if files[0].suffix.lower() == ".csv" else _of_parquet
    try:
        problems = find(files, declared)
    except OSError as e:
        problems = [Problem(str(e.filename or files[0]), f"cannot be read: {e.strerror}", "Check its permissions.")]
    if problems:
        raise DataError(UNREADABLE, problems)


def _of_parquet(files: Sequence[Path], declared: Collection[str]) -> list[Problem]:
    problems: list[Problem] = []
    for file in files:
        try:
            found = _twice(pq.read_schema(file).names, declared)
        except pa.ArrowException:
            return problems  # the engine says what is wrong with it
        if found is not None and len(problems) < MAX_PROBLEMS:
            problems.append(Problem(str(file), *found))
    return problems


def _of_csv(files: Sequence[Path], declared: Collection[str]) -> list[Problem]:
    """A file without anything in it, beside others, is what some programs write for no rows."""
    problems: list[Problem] = []
    first: tuple[Path, str] | None = None
    for file in files:
        with file.open("rb") as content:
            beginning = content.read(BEGINNING)
        found = next(((what, fix) for magic, (what, fix) in MAGIC.items() if beginning.startswith(magic)), None)
        if found is None and beginning.strip():
            header = _line(beginning)
            delimiter = _delimiter(header)
            first = first or (file, delimiter)
            found = _twice(next(csv.reader([header], delimiter=delimiter), []), declared)
            if delimiter != first[1] and not found:
                what = f"has {DELIMITERS[delimiter]} between its cells, {first[0].name} has {DELIMITERS[first[1]]}"
                found = what, "Write all files of a table alike."
        if found is not None:
            problems.append(Problem(str(file), *found))
            if len(problems) == MAX_PROBLEMS:
                break
    if first is None and not problems:
        problems.append(Problem(str(files[0]), "is empty: it has not even a header", "Check the export."))
    return problems


def explained(error: DataError, files: Sequence[Path]) -> DataError:
    """The error of an engine that could not read CSV files, with the file, the line and what is there.

    Returns
    -------
    DataError
        ``error`` itself where nothing is found that explains it.
    """
    for file in files:
        try:
            problem = _not_text(file) or _ragged(file) or _two_line_ends(file)
        except OSError:
            continue
        if problem is not None:
            return DataError(UNREADABLE, [problem])
    return error


def _line(beginning: bytes) -> str:
    """The first line that is not blank."""
    text = beginning.decode("utf-8-sig", errors="replace")
    return next((line for line in text.splitlines() if line.strip()), "")


def _delimiter(header: str) -> str:
    """As the engine finds it: the one that the header has most of."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=bare.count)


def _twice(columns: Sequence[str], declared: Collection[str]) -> tuple[str, str] | None:
    """A declared column that comes twice: engines rename the second, and take small letters for capitals."""
    names = [name.strip() for name in columns]
    for column in declared:
        same = [name for name in names if name.lower() == column.lower()]
        if len(same) > 1:
            what = f"has the column '{column}' {len(same)} times"
            if len(set(same)) > 1:
                what = f"has columns that differ only in case: {', '.join(map(repr, same))}"
            return what, "Which is meant? Rename the others, or leave them out, where they come from."
    return None


def _not_text(file: Path) -> Problem | None:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as e:
                what = f"is not UTF-8 text: byte 0x{line[e.start]:02x} in line {number:,}"
                return Problem(str(file), what, "Save it as UTF-8 (for example: iconv -t UTF-8).")
    return None


def _ragged(file: Path) -> Problem | None:
    """The first row that has not as many cells as the header."""
    with file.open("rb") as content:
        delimiter = _delimiter(_line(content.read(BEGINNING)))
    fix = f"Write cells with {DELIMITERS[delimiter]}, quotes or line breaks in double quotes, and close them."
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, delimiter=delimiter)
        cells, begins = 0, 1
        try:
            for row in rows:
                if row and not cells:
                    cells = len(row)
                elif row and len(row) != cells:
                    what = f"the row at line {begins:,} has {len(row):,} cells, the header {cells:,}"
                    return Problem(str(file), what, fix)
                begins = rows.line_num + 1
        except csv.Error:
            what = f"the row at line {begins:,} has a cell of more than {csv.field_size_limit():,} characters"
            return Problem(str(file), what, fix)
    return None


def _two_line_ends(file: Path) -> Problem | None:
    """Lines that end in another way than the first does; those inside of quotes are no ends."""
    first: bytes | None = None
    quoted = False
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            quoted ^= line.count(b'"') % 2 == 1
            if quoted or not line.endswith(b"\n"):
                continue
            end = b"\r\n" if line.endswith(b"\r\n") else b"\n"
            first = first or end
            if end != first:
                what = f"line {number:,} ends with {shown(end.decode())}, those before it with {shown(first.decode())}"
                return Problem(str(file), what, "End all lines alike (for example: dos2unix).")
    return None
