"""Environment and ``--set``: order, spelling, and secrets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.clock import Span
from holdfast.config.load import explain, load
from holdfast.errors import ConfigError

Project = Callable[..., Path]


def problems_of(folder: Path, *sets: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, sets=sets, environ=environ)
    return [str(p) for p in caught.value.problems]


def test_default_then_file_then_environment_then_set(project: Project) -> None:
    port, variable = "serving.port", {"HOLDFAST__SERVING__PORT": "3"}
    assert load(project(), environ={}).config.serving.port == 8000
    folder = project(serving="port: 2\n")
    assert load(folder, environ={}).config.serving.port == 2
    assert load(folder, environ=variable).config.serving.port == 3
    assert load(folder, environ=variable, sets=[f"{port}=4", f"{port}=5"]).config.serving.port == 5


def test_values_are_yaml(project: Project) -> None:
    config = load(
        project(),
        sets=["features.windows=[1m, 2m]", "data.known_as_of=2024-05-01", "decisions.budget=null", "data.sources='7'"],
        environ={},
    ).config
    assert config.features.windows == [Span(months=1), Span(months=2)]
    assert config.data.known_as_of is not None
    assert config.decisions.budget is None
    assert config.data.sources == "7"


def test_a_set_mapping_replaces_the_whole_and_owns_its_keys(project: Project) -> None:
    loaded = load(project(), sets=["data.label={lead: 2w}"], environ={})
    rows = {row.key: row.origin for row in explain(loaded)}
    assert loaded.config.data.label.lead == Span(days=14)
    assert rows["data.label.lead"] == "--set"
    assert rows["data.label.horizon"] == "default"


def test_list_items_are_set_by_position(project: Project) -> None:
    tiers = "tiers:\n- {name: hot, at_least: 0.5}\n- {name: high, at_least: 0}\n"
    config = load(project(scoring=tiers), sets=["scoring.tiers.0.at_least=0.6"], environ={}).config
    assert config.scoring.tiers[0].at_least == 0.6


def test_variables_find_keys_whatever_their_case(project: Project) -> None:
    decisions = "value: {revenue: r}\nactions: {a: {label: A, cost: 1, retention: 0}}\n"
    folder = project(data=("usage:", "Usage:"), features="tenure: true\n", decisions=decisions)
    config = load(folder, environ={"HOLDFAST__DATA__TABLES__USAGE__DELAY": "2d", "HOLDFAST_LOG": "x"}).config
    assert config.data.tables["Usage"].delay == Span(days=2)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("serving.prt=1", "--set serving.prt: is not a known key. did you mean 'port'?"),
        ("servng.port=1", "there is no section 'servng'. did you mean 'serving'?"),
        ("serving.port", "--set serving.port: has no value"),
        ("serving=1", "does not name a key"),
        ("serving.=1", "does not name a key"),
        ("serving.port=[1", "--set serving.port: is not YAML"),
        ("serving.port.x=1", "--set serving.port: must be a whole number"),
        ("data.tables.usage.key.x=1", "data.tables.usage.key is a plain value without a key 'x'"),
        ("serving.port=many", "--set serving.port: must be a whole number, not 'many'"),
        ("data.label.horizon={a: 1, a: 2}", "the key 'a' is given twice"),
        ("serving.database_url=postgresql://u:hush@db/x", "others can read a command line"),
        ("training.mlflow_uri=http://u:hush@mlflow", "others can read a command line. Set HOLDFAST_MLFLOW_URI"),
    ],
)
def test_words_that_cannot_be_set_are_named(project: Project, word: str, words: str) -> None:
    problems = problems_of(project(), word)
    assert any(words in p for p in problems), problems
    assert "hush" not in str(problems)


def test_variables_that_name_nothing_are_refused(project: Project) -> None:
    problems = problems_of(project(), HOLDFAST__SERVNG__PORT="1", HOLDFAST__SERVING__PRT="1", HOLDFAST__DATA="1")
    assert "environment HOLDFAST__DATA: does not name a key" in problems[0]
    assert "did you mean 'serving'" in problems[1]
    assert "environment HOLDFAST__SERVING__PRT serving.prt: is not a known key" in problems[2]


@pytest.mark.parametrize("name", ["HOLDFAST_DATABASE_URL", "HOLDFAST__SERVING__DATABASE_URL"])
def test_a_secret_is_taken_from_the_environment_as_it_is(project: Project, name: str) -> None:
    url = "postgresql://u:p: #a@db/x"  # YAML would cut it at the #
    secret = load(project(), environ={name: url}).config.serving.database_url
    assert secret is not None
    assert secret.get_secret_value() == url


def test_an_empty_address_is_unset(project: Project) -> None:
    config = load(project(), environ={"HOLDFAST_DATABASE_URL": "", "HOLDFAST_MLFLOW_URI": ""}).config
    assert (config.serving.database_url, config.training.mlflow_uri) == (None, None)


def test_mlflows_address_is_a_secret_of_the_environment(project: Project) -> None:
    url = "https://u:p: #a@mlflow/x"
    loaded = load(project(), environ={"HOLDFAST_MLFLOW_URI": url})
    assert loaded.config.training.mlflow_uri.get_secret_value() == url
    assert (
        loaded.config.hash() == load(project(), environ={}).config.hash()
    )  # a bundle is the same wherever it is told of
    [problem] = problems_of(project(), HOLDFAST_MLFLOW_URI="mysql://u:hush@db/x")
    assert (
        "HOLDFAST_MLFLOW_URI training.mlflow_uri: must begin with one of sqlite:///, postgresql+psycopg://" in problem
    )
    assert "hush" not in problem


@pytest.mark.parametrize("line", ["database_url: hush", "port: 0\ndatabase_url: {a: hush}", "database_url: [hush]"])
def test_a_secret_in_a_file_is_refused_and_never_shown(project: Project, line: str) -> None:
    problems = problems_of(project(serving=f"{line}\n"))
    words = "is a secret and may not be in a file. Set it in the environment: HOLDFAST_DATABASE_URL"
    assert any(words in p for p in problems)
    assert "hush" not in str(problems)
