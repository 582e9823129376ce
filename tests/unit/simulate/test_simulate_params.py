"""The constants are pinned, and a wrong file is refused with all that is wrong."""

from __future__ import annotations

from importlib import resources

import pytest

from holdfast.errors import ConfigError
from holdfast.simulate.params import load_params, params_sha256, parse

# Only an ADR (docs/adr/) changes this: every number measured on the built-in company rests on it.
PINNED = "d987d2f01623a3d12ce194921ce669612161c7a3746682e6a64cc3a64d830cf6"


def packaged() -> str:
    return resources.files("holdfast.simulate").joinpath("params.yaml").read_text(encoding="utf-8")


def test_constants_are_pinned() -> None:
    assert params_sha256() == PINNED


def test_packaged_file_is_read() -> None:
    assert parse(packaged()) == load_params()


def test_frailty_is_not_negligible() -> None:
    assert load_params().customers.frailty_sd >= 0.3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("frailty_sd: 0.45", "frailty_sd: -1", "frailty_sd: is not a number above 0"),
        ("frailty_sd: 0.45", "frailtysd: 0.45", "did you mean 'frailty_sd'"),
        ("  autopay: 0.55", "  autopay: 1.55", "autopay: is not a probability"),
        ("autopay: 0.55", "autopay: true", "autopay: is not a probability"),
        ("web: 0.38", "web: 0.48", "channels: is not shares that sum to 1"),
        ("due_days: 10", "due_days: 20", "after day 28"),
        ("  late_days: 10", "  late_days: 14", "is not before the extract"),
        ("season: [0.15, ", "season: [", "has 11 values"),
        ("dsl: 0.0, fiber: 0.30", "adsl: 0.0, fiber: 0.30", "hazard.internet: names"),
        ("usage: {late: 0.010", "uses: {late: 0.010", "mess.rules: names"),
        ("payments: {late: 0.015, corrected: 0.0", "payments: {late: 0.015, corrected: 0.1", "no column"),
        ("discount: {share: 0.40", "discount: {share: 0.50", "do not sum to 1"),
    ],
)
def test_wrong_file_is_refused(old: str, new: str, said: str) -> None:
    text = packaged()
    assert old in text
    with pytest.raises(ConfigError, match="is not valid") as refused:
        parse(text.replace(old, new, 1))
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "company: 3"])
def test_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(text)
    assert any(problem.what == "is not a mapping" for problem in refused.value.problems)
