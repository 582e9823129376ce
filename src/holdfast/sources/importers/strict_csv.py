"""Reading a CSV file of known columns strictly: every cell is checked, and problems are counted, not repeated."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from holdfast.errors import MAX_EXAMPLES, DataError, Problem, shown

T = TypeVar("T")


@dataclass
class _Found:
    count: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass
class Findings:
    """What is wrong with a file's cells, counted by column and kind, with a few examples."""

    file: Path
    found: dict[tuple[str, str, str], _Found] = field(default_factory=dict)

    def add(self, column: str, what: str, line: int, value: object, fix: str = "") -> None:
        """Note one cell; only the first few are kept as examples."""
        entry = self.found.setdefault((column, what, fix), _Found())
        entry.count += 1
        if len(entry.examples) < MAX_EXAMPLES:
            entry.examples.append(f"line {line}: {shown(value)}")

    def check(self) -> None:
        """Raise everything found.

        Raises
        ------
        DataError
            Anything was found.
        """
        problems = []
        for (column, what, fix), f in self.found.items():
            rows = f"{f.count} row{'s' if f.count > 1 else ''}"
            problems.append(Problem(f"column '{column}'", f"{what} in {rows} ({'; '.join(f.examples)})", fix, f.count))
        if problems:
            raise DataError(f"{self.file} cannot be imported", problems)


@dataclass(frozen=True)
class Row:
    """One row: its line in the file and its cells by column."""

    line: int
    cells: dict[str, str]
    findings: Findings

    def read(self, column: str, parse: Callable[[str], T], what: str, fix: str = "") -> T | None:
        """A cell parsed; a ``ValueError`` of ``parse`` becomes a finding and None."""
        text = self.cells[column].strip()
        try:
            return parse(text)
        except ValueError:
            self.findings.add(column, what, self.line, self.cells[column], fix)
            return None


def read_rows(file: Path, columns: Sequence[str], findings: Findings) -> Iterator[Row]:
    """Rows of a CSV file that has at least ``columns``.

    Raises
    ------
    DataError
        The file cannot be read, is not UTF-8 or not CSV, is empty, lacks a column or has one twice.
    """
    reader = csv.reader(io.StringIO(file_text(file), newline=""), strict=True)
    try:
        header = next(reader, None)
        if not header:
            raise _refused(file, "is empty", "Give the file with its header line.")
        _check_header(file, header, columns)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                what = f"not {len(header)} cells"
                findings.add("(row)", what, reader.line_num, len(cells), "Look for a comma or quote too many.")
                continue
            yield Row(reader.line_num, dict(zip(header, cells, strict=True)), findings)
    except csv.Error as e:
        raise _refused(file, f"line {reader.line_num} is not CSV: {e}", "Export it again, quoting as RFC 4180.") from e


def file_text(file: Path) -> str:
    """The text of a file.

    Raises
    ------
    DataError
        It cannot be read, or is not UTF-8.
    """
    try:
        raw = file.read_bytes()
    except FileNotFoundError as e:
        raise _refused(file, "is not there", "Check the path.") from e
    except OSError as e:
        raise _refused(file, f"cannot be read: {e.strerror or e}", "Give a CSV file that you may read.") from e
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = raw.count(b"\n", 0, e.start) + 1
        raise _refused(file, f"line {line}: byte 0x{raw[e.start]:02x} is not UTF-8", "Save it as UTF-8.") from e


def _check_header(file: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    twice = sorted({c for c in header if header.count(c) > 1})
    if twice:
        raise _refused(file, f"has columns twice: {', '.join(twice)}", "Keep one of each.")
    missing = [c for c in columns if c not in header]
    if missing:
        found = ", ".join(header[:30])
        raise _refused(file, f"lacks columns: {', '.join(missing)}", f"It has {shown(found)}.")


def _refused(file: Path, what: str, fix: str) -> DataError:
    return DataError(f"{file} cannot be imported", [Problem(str(file), what, fix)])
