"""The page stands by itself, and nobody's name does anything in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from card_world import REFUSED, card_data, hostile

from holdfast.training.card.html import html
from holdfast.training.card.plots import draw

MOST_BYTES = 500_000
BY_CUTOFF = ("roc_auc", "average_precision")
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Balanced tags, and what is in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def whole() -> str:
    return html(card_data())


def test_well_formed_with_every_plot(whole):
    page = Page(whole)
    titles = {"ROC", "Precision and recall", "Lift", "Reliability", "Profit", "ROC-AUC by cutoff"}
    assert titles <= {word.strip() for word in page.words}
    # 5 plots, 2 by cutoff, 4 features as strips, and the dependence of the 3 that are numbers
    assert page.tags.count("svg") == 14
    assert page.tags.count("figure") == 10
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for reference in re.findall(r'(?:href="|url\()#([^")]+)', whole):
        assert reference in ids


def test_the_plots_are_svg(whole):
    drawn = draw(card_data())
    assert len(drawn) == 14
    for svg in drawn.values():
        assert svg in whole
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.get("viewBox")
        assert root.get("aria-label")


def test_nothing_is_loaded_and_nothing_runs(whole):
    page = Page(whole)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert not [a for a in page.attributes if a[1].startswith("on") or a[1] == "src"]
    assert all(value.startswith("#") for _, name, value in page.attributes if name.endswith("href"))
    assert "http" not in re.sub(r'xmlns="http://www.w3.org/2000/svg"|http-equiv', "", whole)
    assert "@import" not in whole
    assert not re.search(r"url\((?!#)", whole)
    assert "default-src &#x27;none&#x27;" in whole or "default-src 'none'" in whole


def test_names_do_nothing():
    text = html(hostile())
    page = Page(text)
    assert "script" not in page.tags
    assert "\x00" not in text
    assert text.count("&lt;script&gt;") > 10
    assert {tag for tag, name, _ in page.attributes if name in ("onclick", "onload")} == set()


def test_every_figure_is_the_metrics(whole):
    text = Page(whole).text
    test = card_data().metrics["test"]
    for metric in test["metrics"].values():
        assert f"{metric['value']:.4f} {metric['low']:.4f} to {metric['high']:.4f}" in text
    auc, lift = test["metrics"]["roc_auc"], test["metrics"]["lift_at_10"]
    assert f"ROC-AUC {auc['value']:.3f} {auc['low']:.3f} to {auc['high']:.3f}" in text
    assert f"{lift['value']:.2f} ({lift['low']:.2f} to {lift['high']:.2f}) among the top 10%" in text
    assert f"observed / expected churn {test['base_rate'] / test['mean_probability']:.2f}" in text
    for entry in test["by_cutoff"]:
        assert (
            f"{entry['cutoff']} {entry['n']} {entry['positives']} {entry['metrics']['roc_auc']['value']:.3f} (" in text
        )
    assert "at most 3.75 EUR, at 25.0%" in text


def test_the_same_bytes_whatever_the_machine_likes(whole):
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path", "path.simplify": False}):
        assert html(card_data()) == whole


def test_a_refusal_is_seen_at_once():
    refused = html(card_data(verdict=REFUSED), {})
    assert '<strong class="found">the gate said no</strong>' in refused
    assert "the gate said" not in html(card_data(version=None, verdict=None), {})


def test_no_campaign_and_no_contributions():
    data = card_data(profit=None, effects=(), importance=())
    drawn = draw(data)
    assert sorted(drawn) == [
        "cutoff_average_precision",
        "cutoff_roc_auc",
        "lift",
        "precision_recall",
        "reliability",
        "roc",
    ]
    text = Page(html(data, drawn)).text
    assert "Profit" not in text
    assert "What moves it Not measured." in text


def test_cutoffs_of_one_class():
    entries = card_data().metrics["test"]["by_cutoff"]
    alone = [{"cutoff": f"2023-{m:02}-01", "n": 100, "positives": 0} for m in range(1, 13)]
    some = card_data(timed=False, test={"by_cutoff": [*alone, *entries]}, dataset={"history": "reconstructed"})
    text = Page(html(some, {})).text
    assert "2023-05-01 100 0 – – –" in text
    assert "a ranking cannot be measured" in text
    assert {"cutoff_roc_auc", "cutoff_average_precision"} <= set(draw(some))
    nothing = card_data(test={"by_cutoff": alone}, effects=(), profit=None)
    assert "cutoff_roc_auc" not in draw(nothing)


def test_nobody_left():
    data = card_data()
    nothing = {"value": None, "low": None, "high": None}
    metrics = dict.fromkeys(data.metrics["test"]["metrics"], nothing)
    nobody = card_data(
        y=np.zeros(len(data.y)),
        test={"positives": 0, "base_rate": 0.0, "metrics": metrics, "by_cutoff": []},
        effects=(),
    )
    drawn = draw(nobody)
    assert not {"roc", "precision_recall", "lift"} & set(drawn)
    assert "not defined" in Page(html(nobody, drawn)).text


def test_a_reconstructed_history():
    page = Page(
        html(card_data(timed=False, dataset={"history": "reconstructed", "reconstructed_why": "one extract."}), {})
    )
    assert "reconstructed, not recorded: one extract." in page.text
    assert (
        "each of a customer that its model never saw, with the settings that did best on other customers" in page.text
    )


def test_it_stays_small():
    rng = np.random.default_rng(0)
    n = 200_000
    p = rng.beta(1, 20, n)
    y = (rng.random(n) < p).astype(float)
    bands = [
        {"value": float(i) * 1.234567, "n": 1000, "low": -0.1234567, "median": 0.0123, "high": 0.2} for i in range(20)
    ]
    beads = [{"contribution": i * 0.0123456 - 0.2, "n": 10 + i, "value_rank": i / 40} for i in range(40)]
    effect = {"feature": "f", "label": "feature", "kind": "number", "dependence": bands, "swarm": beads}
    many = [effect] * 12
    entries = [{**card_data().metrics["test"]["by_cutoff"][0], "cutoff": f"20{10 + i}-01-01"} for i in range(60)]
    curve = np.column_stack([np.linspace(0, 1, 5000), rng.normal(size=5000)])
    assert len(html(card_data(y=y, p=p, effects=many, profit=curve, test={"by_cutoff": entries})).encode()) < MOST_BYTES
