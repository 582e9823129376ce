"""Reading YAML strictly, with the line of every key.

Only the plain part of YAML is accepted: duplicate keys, aliases and tags are refused. Keys are always text, as
written, so a column called ``no`` or ``2024`` keeps its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from holdfast.errors import shown

KeyPath: TypeAlias = tuple[str, ...]

_PLAIN_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_NUMBER_TAGS = {"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}
_MISREAD = re.compile(r":|^[-+]?0[0-9_]+$")
"""YAML 1.1 reads 12:30 as 750 and 010 as 8; nobody means that."""


@dataclass(frozen=True)
class Flaw:
    """Something wrong with a document, at a line (1-based; 0 where the whole document is meant)."""

    line: int
    what: str
    fix: str = ""


@dataclass
class Document:
    """A parsed document: its value, the line of each key path, and what is wrong with it."""

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)


class _Loader(yaml.SafeLoader):
    """A safe loader without aliases: they can make a small file huge or endless."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # a gap in the stubs
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read", mark)
        return super().compose_node(parent, index)


def read_document(file: Path) -> Document:
    """Read a YAML file; whatever is wrong is in ``flaws``, never raised."""
    try:
        raw = file.read_bytes()
    except OSError as e:
        return Document(flaws=[Flaw(0, f"cannot be read: {e.strerror or e}", "Check the file and its permissions.")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = raw.count(b"\n", 0, e.start) + 1
        return Document(flaws=[Flaw(line, f"byte 0x{raw[e.start]:02x} is not UTF-8", "Save the file as UTF-8.")])
    return parse_document(text)


def parse_document(text: str) -> Document:
    """Parse YAML text; whatever is wrong is in ``flaws``, never raised.

    >>> parse_document("horizon: 1m").value
    {'horizon': '1m'}
    >>> parse_document("a: 1\\na: 2").flaws[0].what
    "the key 'a' is given twice (first on line 1)"
    """
    document = Document()
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            document.value = _build(loader, node, (), document)
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        document.flaws.append(Flaw(mark.line + 1 if mark else 0, f"is not YAML: {e.problem or e}", _syntax_fix(e)))
    except yaml.YAMLError as e:  # a character YAML does not allow; it has no mark
        document.flaws.append(Flaw(0, f"is not YAML: {str(e).splitlines()[0]}", "Remove the character."))
    except RecursionError:
        document.flaws.append(Flaw(0, "is nested too deeply", "Write fewer levels."))
    return document


def _syntax_fix(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or ""
    if "\\t" in problem:
        return "Indent with spaces, not tabs."
    if "alias" in problem:
        return "Write the value out in each place."
    return "Check the indentation, colons and quotes on this line and the one before."


def _build(loader: _Loader, node: yaml.Node, path: KeyPath, document: Document) -> Any:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(loader, node, document)
    if node.tag not in _PLAIN_TAGS:
        document.flaws.append(Flaw(node.start_mark.line + 1, f"the tag {node.tag} is not read", "Remove it."))
        return None
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, child, (*path, str(i)), document) for i, child in enumerate(node.value)]
    return _mapping(loader, node, path, document)


def _mapping(loader: _Loader, node: yaml.Node, path: KeyPath, document: Document) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            document.flaws.append(Flaw(line, "a key is a list or a mapping", "Keys are plain words."))
            continue
        key = str(key_node.value)
        if key in built:
            first = document.lines[(*path, key)]
            document.flaws.append(
                Flaw(line, f"the key {key!r} is given twice (first on line {first})", "Keep one of them.")
            )
            continue
        document.lines[(*path, key)] = line
        built[key] = _build(loader, value_node, (*path, key), document)
    return built


def _scalar(loader: _Loader, node: yaml.ScalarNode, document: Document) -> Any:
    line = node.start_mark.line + 1
    if node.tag in _NUMBER_TAGS and _MISREAD.search(node.value):
        what = f"{shown(node.value)} would be read in base 60 or 8"
        document.flaws.append(Flaw(line, what, "Quote it, or write a plain number."))
        return None
    try:
        value = loader.construct_object(node)
        if not isinstance(value, bytes):
            return value
        document.flaws.append(Flaw(line, f"the tag {node.tag} is not read", "Remove it."))
    except yaml.YAMLError:
        document.flaws.append(Flaw(line, f"the tag {node.tag} is not read", "Remove it."))
    except (ValueError, OverflowError) as e:  # 2024-02-30 looks like a date to YAML and is none
        document.flaws.append(Flaw(line, f"{shown(node.value)} cannot be read: {e}", "Correct it, or quote it."))
    return None
