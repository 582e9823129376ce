"""Loading: all problems at once, each with file, line, key path, value and fix; every value with its origin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.clock import Span
from holdfast.config.load import explain, find_project, load
from holdfast.errors import ConfigError, UsageError

Project = Callable[..., Path]


def refused(folder: Path, **how: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, **({"environ": {}} | how))  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    return [str(p) for p in caught.value.problems]


def test_absent_sections_take_their_defaults(project: Project) -> None:
    loaded = load(project(), environ={})
    assert loaded.project == "small"
    assert loaded.config.serving.port == 8000
    assert [t.name for t in loaded.config.scoring.tiers] == ["high", "medium", "low"]
    assert loaded.config.data.label.horizon == Span(months=1)


def test_an_empty_optional_file_is_all_defaults(project: Project) -> None:
    assert load(project(monitoring="# nothing yet\n"), environ={}).config.monitoring.drift.psi == 0.2


def test_missing_required_files_are_all_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project(features=None, decisions=None)
    monkeypatch.chdir(folder.parent.parent)
    problems = refused(folder)
    assert [p.split(":")[0] for p in problems] == ["conf/small/features.yaml", "conf/small/decisions.yaml"]
    assert "holdfast init" in problems[0]


def test_a_folder_that_is_not_there_misses_everything(tmp_path: Path) -> None:
    assert len(refused(tmp_path / "none")) == 4


@pytest.mark.parametrize(
    ("section", "text", "words"),
    [
        (
            "data", ("horizon: 1m", "horizn: 1m"),
            "data.yaml:2 data.label.horizn: is not a known key. did you mean 'horizon'?",
        ),
        ("data", ("horizon: 1m", "horizon: soon"), "data.yaml:2 data.label.horizon: 'soon' is not a span"),
        (
            "data", ("    time: occ", "    tme: occ"),
            "data.yaml:24 data.tables.usage.tme: is not a known key. did you mean 'time'?",
        ),
        ("data", ("    time: occ", "    tme: occ"), "data.yaml:20 data.tables.usage.time: is missing"),
        (
            "data", ("kind: events", "kind: event"),
            "data.yaml:21 data.tables.usage.kind: must be one of customers, history, events, not 'event'. "
            "did you mean 'events'?",
        ),
        ("data", ("    kind: events\n", ""), "data.tables.usage.kind: is missing"),
        (
            "data", ("scale: 1", "scale: 9"),
            "data.yaml:26 data.tables.usage.columns.minutes.scale: must be at most 6, not 9",
        ),
        ("data", ("scale: 1", "scale: yes"), "data.tables.usage.columns.minutes.scale: must be a number, not True"),
        ("data", ("scale: 1", "scale: 1.5"), "must be a whole number, not 1.5"),
        (
            "data", ("type: number}", "type: numbr}"),
            "columns.price.type: must be one of number, category, boolean, time, text, not 'numbr'. did you "
            "mean 'number'?",
        ),
        ("data", ("key: customer_id", "key: 7"), "data.tables.customers.key: must be text, not 7. Put it in quotes"),
        ("data", ("", "cutoffs: {first: 2024-02-30}\n"), "data.yaml:28: '2024-02-30' cannot be read"),
        (
            "data", ("", "cutoffs: {first: 2024-03-01, last: 2024-02-01}\n"),
            "data.cutoffs: first 2024-03-01 is after last 2024-02-01",
        ),
        ("data", ("", "known_as_of: later\n"), "data.known_as_of: 'later' is not a date; write 2024-03-01"),
        ("data", ("", "cutoffs: monthly\n"), "data.cutoffs: must be a mapping, not 'monthly'"),
        ("data", ("", "cutoffs: {anchor_days: 1}\n"), "data.cutoffs.anchor_days: must be a list, not 1"),
        ("data", ("", "label: {lead: 3d}\n"), "data.yaml:28: the key 'label' is given twice (first on line 1)"),
        ("data", "- a\n", "data.yaml: must be a mapping at the top level"),
        ("data", ("kind: customers", "kind: history"), "data.tables.customers.valid_from: is missing"),
        ("features", ("", "windows: [3m, 0d]\n"), "features: feature windows are longer than zero"),
        (
            "features", ("[sum]", "[total]"),
            "features.measures.usage_minutes.aggregations.0: must be one of count, sum,",
        ),
        (
            "features", ("table: usage,", "table: usge,"),
            "features.yaml:2 features.measures.usage_minutes.table: no events table 'usge'; did you mean 'usage'?",
        ),
        (
            "features", ("region: region", "regon: region"),
            "features.yaml:5 features.attributes: 'regon' is not a column of customers; did you mean 'region'?",
        ),
        (
            "training", ("logistic", "logstic"),
            "training.yaml:2 training.estimators.logstic: must be one of xgboost, lightgbm, logistic, rfm, not "
            "'logstic'. did you mean 'logistic'?",
        ),
        (
            "training", ("{}", "{imbalance: off}"),
            "training.estimators.logistic.imbalance.0: must be one of none, balanced, scale_pos_weight, not False",
        ),
        ("training", "estimators: {}\n", "training.estimators: needs at least 1"),
        ("training", ("{}", "{imbalance: []}"), "training.estimators.logistic.imbalance: needs at least 1"),
        ("training", ("{}", "{monotone: {tenure: up}}"), "logistic.monotone.tenure: must be one of -1, 1, not 'up'"),
        (
            "training", ("{}", "{params: {l3: 1}}"),
            "training.yaml:2 training.estimators.logistic.params.l3: is unknown; choose from: l2",
        ),
        ("training", ("{}", "{params: {l2: -1}}"), "training.estimators.logistic.params.l2: is -1; it must be from"),
        ("training", ("{}", "{params: {l2: .inf}}"), "training.estimators.logistic.params.l2: is inf; it must be from"),
        ("training", ("{}", "{params: {l2: .nan}}"), "training.estimators.logistic.params.l2: is nan; it must be from"),
        ("training", ("{}", "{params: {l2: yes}}"), "training.estimators.logistic.params.l2: "),
        (
            "training", ("logistic: {}", "xgboost: {search: {dpeth: [2, 6]}}"),
            "training.estimators.xgboost.search.dpeth: is unknown; did you mean 'depth'?",
        ),
        (
            "training", ("logistic: {}", "xgboost: {search: {depth: [2, 6.5]}}"),
            "training.estimators.xgboost.search.depth: is 6.5, not a whole number",
        ),
        (
            "training", ("logistic: {}", "xgboost: {search: {l2: [5, 1]}}"),
            "training.estimators.xgboost.search.l2: goes from 5 to 1; Write the lower end first.",
        ),
        ("training", ("logistic: {}", "xgboost: {search: {l2: [-1, 1]}}"), "xgboost.search.l2: is -1; it must be from"),
        (
            "training", ("logistic: {}", "xgboost: {search: {subsample: [0.5, 2]}}"),
            "training.estimators.xgboost.search.subsample: is 2; it must be from 0.05 to 1",
        ),
        (
            "training", ("logistic: {}", "lightgbm: {params: {rounds: 0}}"),
            "training.estimators.lightgbm.params.rounds: is 0; it must be from 1 to 100,000",
        ),
        ("training", ("", f"seed: {10**20}\n"), "training.seed: must be"),
        (
            "training", ("", "bootstrap: 50\npromotion: {confidence: 0.99}\n"),
            "training: promotion.confidence 0.99 is more than 50 draws of bootstrap can tell: raise bootstrap to 99 or "
            "lower promotion.confidence",
        ),
        ("decisions", ("cost: 5", "cost: .inf"), "decisions.actions.call.cost: must be a finite number, not inf"),
        ("decisions", ("cost: 5", "cost: five"), "decisions.actions.call.cost: must be a number, not 'five'"),
        ("decisions", ("retention: 0.1", "retention: 1.1"), "must be at most 1.0, not 1.1"),
        ("decisions", ("[high]", "[hgh]"), "decisions.actions.call.tiers: no tier 'hgh'; did you mean 'high'?"),
        ("scoring", "tiers: [{name: a, at_least: 0.1}]", "scoring: tiers must go from the highest"),
        ("serving", "ttl: 1m\n", "serving: ttl is in days or weeks"),
    ],
)  # fmt: skip
def test_a_problem_is_said_in_plain_words(project: Project, section: str, text: str, words: str) -> None:
    problems = refused(project(**{section: text}))
    assert any(words in p for p in problems), problems


@pytest.mark.parametrize(
    ("section", "line", "words"),
    [
        ("serving", "port: 12:30", "serving.yaml:1: '12:30' would be read in base 60 or 8. Quote it"),
        ("serving", "port: 010", "'010' would be read in base 60 or 8"),
        ("serving", "port: !!binary aGk=", "the tag tag:yaml.org,2002:binary is not read"),
        ("training", "estimators: {xgboost: {search: {a: [1, 2, 3]}}}", "xgboost.search.a: may have at most 2, not [1"),
        ("training", "estimators: {xgboost: {search: {a: [1]}}}", "training.estimators.xgboost.search.a.1: is missing"),
        ("training", "estimators: {xgboost: }", "training.estimators.xgboost: must be a mapping, not None"),
    ],
)
def test_what_yaml_or_people_misread_is_said(project: Project, section: str, line: str, words: str) -> None:
    problems = refused(project(**{section: f"{line}\n"}))
    assert any(words in p for p in problems), problems


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9000-01-01"])
def test_years_that_cannot_be_meant_are_refused(project: Project, instant: str) -> None:
    problems = refused(project(data=("", f"known_as_of: {instant}\n")))
    assert "data.known_as_of" in problems[0]


def test_all_problems_of_all_files_come_at_once(project: Project) -> None:
    problems = refused(project(data=("horizon", "horizn"), decisions="value: {}\nactions: {}\n", serving="port: 0\n"))
    assert len(problems) == 4
    assert [next(s for s in ("data", "decisions", "serving") if f"{s}.yaml:" in p) for p in problems] == [
        "data", "decisions", "decisions", "serving",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [1\nb: 2\n", "training.yaml:2: is not YAML"),
        (b"a:\n\tb: 1\n", "training.yaml:2: is not YAML"),
        (b"a: 1\nb: J\xe9r\xf4me\n", "training.yaml:2: byte 0xe9 is not UTF-8. Save the file as UTF-8"),
        (b"a: &x 1\nb: *x\n", "training.yaml:2: is not YAML: aliases (*name) are not read"),
        (b"a: !!python/object/apply:os.system [ls]\n", "the tag tag:yaml.org,2002:python/object/apply:os.system"),
        (b"a: 1\x00\n", "is not YAML"),
        (b"a: 1\n---\nb: 2\n", "training.yaml:2: is not YAML: but found another document"),
        (b"[" * 2000, "training.yaml"),
    ],
)
def test_files_that_are_not_yaml_are_clear_and_add_no_noise(project: Project, content: bytes, words: str) -> None:
    problems = refused(project(training=content))
    assert words in problems[0]


@pytest.mark.parametrize(("bootstrap", "confidence"), [(50, 0.975), (99, 0.99), (199, 0.995), (4999, 0.9998)])
def test_a_confidence_that_the_bootstrap_just_reaches_is_taken(
    project: Project, bootstrap: int, confidence: float
) -> None:
    load(project(training=("", f"bootstrap: {bootstrap}\npromotion: {{confidence: {confidence}}}\n")), environ={})


def test_a_byte_order_mark_is_fine(project: Project) -> None:
    load(project(training=b"\xef\xbb\xbfestimators: {logistic: {}}"), environ={})


def test_misnamed_files_are_refused(project: Project) -> None:
    folder = project(score="tiers: []\n")
    (folder / "serving.yml").write_text("port: 1\n")
    problems = refused(folder)
    assert "score.yaml: is not a section file. did you mean 'scoring.yaml'?" in problems[0]
    assert "serving.yml: is not a section file. did you mean 'serving.yaml'?" in problems[1]


def test_find_project_takes_a_name_or_a_folder_and_lists_what_there_is(project: Project, tmp_path: Path) -> None:
    folder = project()
    assert find_project("small", tmp_path) == folder
    assert find_project(str(folder), tmp_path / "elsewhere") == folder
    with pytest.raises(UsageError, match="did you mean 'small'"):
        find_project("smal", tmp_path)
    with pytest.raises(UsageError, match="choose from: small"):
        find_project("", tmp_path)
    with pytest.raises(UsageError, match=r"holds no data\.yaml"):
        find_project(str(tmp_path), tmp_path)
    with pytest.raises(UsageError, match="holdfast init"):
        find_project("small", tmp_path / "elsewhere")


def test_explain_names_the_origin_of_every_value(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project()
    monkeypatch.chdir(folder.parent.parent)
    loaded = load(
        folder,
        sets=["decisions.budget=500"],
        environ={"HOLDFAST__SERVING__PORT": "9000", "HOLDFAST_DATABASE_URL": "postgresql://u:hush@db/x"},
    )
    rows = {row.key: (row.value, row.origin) for row in explain(loaded)}
    assert rows["data.label.horizon"] == ("1m", "conf/small/data.yaml:2")
    assert rows["data.tables.usage.columns.minutes.scale"] == (1, "conf/small/data.yaml:26")
    assert rows["data.label.lead"] == ("0d", "default")
    assert rows["serving.port"] == (9000, "environment HOLDFAST__SERVING__PORT")
    assert rows["decisions.budget"] == (500.0, "--set")
    assert rows["decisions.actions.call.tiers"] == (["high"], "conf/small/decisions.yaml:4")
    assert rows["scoring.tiers.0.name"] == ("high", "default")
    assert rows["serving.database_url"] == ("**********", "environment HOLDFAST_DATABASE_URL")
    assert "hush" not in repr(explain(loaded)) + repr(loaded)


def test_the_projects_of_this_repository_load(root: Path) -> None:
    for folder in sorted((root / "conf").iterdir()):
        if any(folder.glob("*.yaml")):
            load(folder, environ={})
