"""Writes docs/reference from the code: every configuration key and every command. Run: make docs.

``python docs/generate.py --check`` writes nothing and fails where a page is not up to date.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from holdfast.cli.main import app
from holdfast.clock import Span
from holdfast.config import defaults
from holdfast.config.features import ROW_AGGREGATIONS
from holdfast.config.load import load
from holdfast.config.schema import Config
from holdfast.features.definitions import feature_schema
from holdfast.features.words import AGGREGATIONS

REFERENCE = Path(__file__).resolve().parent / "reference"
GENERATED = "<!-- Written by docs/generate.py (make docs). Edit the code's docstrings instead. -->"
BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
COMMON = ("--project", "--set", "--json", "--quiet", "--help")


def configuration() -> str:
    """The page of every configuration key."""
    lines = [
        GENERATED,
        "",
        "# Configuration",
        "",
        "One YAML file per section in `conf/<project>/`. `<name>` stands for a name of your choice. A value comes",
        "from, in this order: `--set section.key=value`, the environment (`HOLDFAST__SECTION__KEY`), the file, the",
        "default. `holdfast config show` prints every value with where it came from. Spans are written `30d`, `2w` or",
        "`3m`; dates `2024-03-01` or `2024-03-01T09:30:00Z`, in UTC. Unknown keys are refused.",
    ]
    for section, field in Config.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        lines += [
            "",
            f"## {section}.yaml",
            "",
            _line(model.__doc__),
            "",
            "| key | type | default | |",
            "| --- | --- | --- | --- |",
        ]
        lines += [f"| `{key}` | {kind} | {default} | {words} |" for key, kind, default, words in keys(model, section)]
    return "\n".join(lines) + "\n"


def keys(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    """Every key below a section: its path, type, default and meaning."""
    for name, field in model.model_fields.items():
        path = f"{prefix}.{name}"
        inner, suffix = _inner(field.annotation)
        if not inner:
            yield path, _type(field.annotation, field), _default(field), _line(field.description)
            continue
        below = "".join(f" {_line(m.__doc__)}" for m in inner[:1]) if len(inner) == 1 else ""
        yield path, _holder(suffix), _default(field, nested=True), (_line(field.description) or below.strip())
        for member in inner:
            kind = member.model_fields.get("kind")
            here = path + suffix + (f" ({get_args(kind.annotation)[0]})" if kind and len(inner) > 1 else "")
            if kind and len(inner) > 1:
                yield here, "mapping", "", _line(member.__doc__)
                yield from keys(member, f"{path}{suffix}({get_args(kind.annotation)[0]})")
            else:
                yield from keys(member, path + suffix)


def _inner(annotation: Any) -> tuple[list[type[BaseModel]], str]:
    """The sections inside an annotation, and how their keys are reached."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation], ""
    if origin in (Union, types.UnionType):
        return [m for a in arguments for m in _inner(a)[0]], ""
    if origin is dict:
        return _inner(arguments[1])[0], ".<name>"
    if origin is list:
        return _inner(arguments[0])[0], "[]"
    if origin is not None and arguments and not isinstance(arguments[0], str):
        return _inner(arguments[0])
    return [], ""


def _holder(suffix: str) -> str:
    return {"": "mapping", ".<name>": "mapping by name", "[]": "list"}[suffix]


def _type(annotation: Any, field: FieldInfo | None = None) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    bounds = _bounds(field.metadata) if field else ""
    if origin is Literal:
        return " or ".join(f"`{a}`" for a in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(a) for a in arguments if a is not type(None)) + bounds
    if origin is dict:
        return f"{_type(arguments[0])} → {_type(arguments[1])}"
    if origin in (list, tuple):
        return f"list of {_type(arguments[0])}"
    if origin is not None:  # Annotated
        return _type(arguments[0]) + _bounds(list(arguments[1:])) + bounds
    names = {Span: "span", datetime: "date", date: "date", str: "text", int: "whole number", float: "number",
             bool: "true or false", SecretStr: "secret"}  # fmt: skip
    return names.get(annotation, "any") + bounds


def _bounds(metadata: list[Any]) -> str:
    found = [
        f"{sign} {bound:.10g}"
        for m in metadata
        for k, sign in BOUNDS.items()
        if (bound := getattr(m, k, None)) is not None
    ]
    return " " + ", ".join(found) if found else ""


def _default(field: FieldInfo, *, nested: bool = False) -> str:
    if field.is_required():
        return "required"
    value = field.default if field.default is not PydanticUndefined else field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if nested and isinstance(value, BaseModel | dict):
        return ""
    if isinstance(value, list | tuple):
        return "`[" + ", ".join(_plain(v) for v in value) + "]`" if value else "`[]`"
    return f"`{_plain(value)}`" if value != "" else "empty"


def _plain(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "{" + ", ".join(f"{k}: {_plain(v)}" for k, v in value.model_dump().items()) + "}"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _line(text: str | None) -> str:
    """The first paragraph on one line, safe inside a table."""
    first = (text or "").strip().split("\n\n")[0]
    return " ".join(first.split()).replace("``", "`").replace("|", "\\|")


def cli() -> str:
    """The page of every command."""
    lines = [
        GENERATED,
        "",
        "# Commands",
        "",
        "Every verb also takes `--project NAME` (`-p`; a name under `conf/`, or a folder; default `demo`, and for",
        "`fetch` and `import` the data set's own name), `--set SECTION.KEY=VALUE` (may be repeated), `--json` (one",
        "JSON document on stdout, everything else on stderr) and `--quiet` (`-q`). A JSON answer is",
        '`{"verb", "project", "run_id", "report"}`; an error `{"error": {"kind", "message", "exit_code", …}}`.',
        "",
        "| exit code | meaning |",
        "| --- | --- |",
        "| 0 | done |",
        "| 1 | it could not be done; the message says why |",
        "| 2 | wrong usage, or wrong configuration |",
        "| 3 | a gate said no |",
        "| 130 | interrupted |",
        "",
        "| variable | meaning |",
        "| --- | --- |",
        "| `HOLDFAST_HOME` | the folder that holds `conf/` and `var/`; by default the current one |",
        "| `HOLDFAST__SECTION__KEY` | overrides a configured value |",
        "| `HOLDFAST_DATABASE_URL` | the state database; by default SQLite in `var/<project>/` |",
        "| `HOLDFAST_REDIS_URL` | the Redis server of `serving.store: redis` |",
        "| `HOLDFAST_MLFLOW_URI` | the MLflow server or database that mirrors the registry; by default SQLite in "
        "`var/<project>/` |",
        "| `HOLDFAST_LOG` | `text` or `json`: log to stderr, with the run's id on every line |",
        "| `HOLDFAST_LOG_LEVEL` | `DEBUG`, `INFO`, `WARNING` or `ERROR` |",
        "| `HOLDFAST_DEBUG` | `1` shows tracebacks |",
    ]
    for name, command in commands():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and p.opts[0] not in COMMON]
        usage = " ".join(["holdfast", name, *(_argument(a) for a in arguments), *(["[OPTIONS]"] if options else [])])
        lines += ["", f"## {name}", "", f"`{usage}`", "", _paragraphs(command.help)]
        rows = [(f"`{_argument(a)}`", a.help) for a in arguments]
        rows += [(f"`{_option(o)}`", o.help) for o in options]
        if rows:
            lines += ["", "| | |", "| --- | --- |", *(f"| {left} | {_line(right)} |" for left, right in rows)]
    return "\n".join(lines) + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name, in the order of ``holdfast --help``."""
    root: Any = typer.main.get_command(app)
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            for inner, below in command.commands.items():
                yield f"{name} {inner}", below
        else:
            yield name, command


def _argument(parameter: Any) -> str:
    name = parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _option(parameter: Any) -> str:
    if parameter.is_flag:
        return str(parameter.opts[0])
    return f"{parameter.opts[0]} {parameter.metavar or parameter.name.upper()}"


def _paragraphs(text: str | None) -> str:
    return "\n\n".join(" ".join(p.split()) for p in (text or "").split("\n\n"))


def features() -> str:
    """The page of every aggregation, and of every feature of the demo."""
    lines = [
        GENERATED, "", "# Features", "",
        "`holdfast features` prints the catalogue of your own project; every dataset's `manifest.json` holds it too.",
        "",
        "## Aggregations of events", "",
        "| aggregation | what is computed | of rows alone | unit | null means |", "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for name, words in AGGREGATIONS.items():
        terms = {"rows": "the rows", "value": "the value", "whole": "all rows"}
        alone = (words.of_rows or words.definition).format(**terms) if name in ROW_AGGREGATIONS else "–"
        unit = "the measure's" if words.unit is None else words.unit or "–"
        cells = (f"`{name}`", words.definition.format(**terms), alone, unit, words.null)
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "## Defaults", "", "Where features.yaml declares no measures, values and attributes:", "", "```"]
    lines += [*(defaults.__doc__ or "").strip().splitlines()[2:], "```", "", "## The demo's features", ""]
    lines += ["| feature | meaning | how | unit | source | window | null means |", "|" + " --- |" * 7]
    config = load(REFERENCE.parents[1] / "conf" / "demo", environ={}).config
    for f in feature_schema(config.data, config.features):
        cells = (f"`{f.name}`", f.label, f.definition, f.unit or "–", f.source, f.window or "–", f.null_means)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def pages() -> dict[Path, str]:
    """What docs/reference must hold."""
    made = {"configuration.md": configuration(), "cli.md": cli(), "features.md": features()}
    return {REFERENCE / name: text for name, text in made.items()}


def main(words: list[str]) -> int:
    stale = [p for p, text in pages().items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        if "--check" in words:
            sys.stderr.write(f"{path} is not up to date; run: make docs\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages()[path], encoding="utf-8")
    return int(bool(stale) and "--check" in words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
