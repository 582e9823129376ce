"""Wrong labels of all kinds of windows get the name of the one window that they are of."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from holdfast.audit.label_windows import _meant

CUT = datetime(2024, 3, 1)  # noqa: DTZ001
DAY = timedelta(days=1)


def wrong(opens: int, closes: int, *, every: float, seed: int = 1):  # type: ignore[no-untyped-def]
    """Of customers with an event every so many days, those whose label by a wrong window of 30 days is another."""
    rng = np.random.default_rng(seed)
    facts, shows = [], []
    for _ in range(3000):
        days = np.cumsum(rng.exponential(every * rng.uniform(0.3, 3), 80)) - 200
        right = bool(((days >= 0) & (days < 30)).any())
        stored = bool(((days >= opens) & (days < 30 + closes)).any())
        if right != stored:
            facts.append([CUT + float(d) * DAY for d in days])
            shows.append(stored)
    n = min(len(facts), 200)
    return facts[:n], np.array(shows[:n]), [CUT] * n, [CUT + 30 * DAY] * n


@pytest.mark.parametrize("every", [10, 60])
@pytest.mark.parametrize(
    ("opens", "closes", "name"),
    [
        (-10, -10, "label-window-opens-early"),
        (-10, 0, "label-window-opens-early"),
        (5, 5, "label-window-opens-late"),
        (5, 0, "label-window-opens-late"),
        (0, 30, "label-window-closes-late"),
        (0, -10, "label-window-closes-early"),
    ],
)
def test_the_window_behind_wrong_labels_of_inactivity(opens, closes, name, every):
    found = _meant(*wrong(opens, closes, every=every))
    assert found is not None
    assert found[0] == name
    assert f"opens {abs(opens)} days" in found[1] or not opens


def test_labels_by_the_dice_are_of_no_window():
    rng = np.random.default_rng(2)
    facts, shows, opens, closes = wrong(-10, 0, every=20)
    assert _meant(facts, rng.random(len(shows)) < 0.5, opens, closes) is None


def test_a_few_wrong_labels_name_no_window():
    facts, shows, opens, closes = wrong(-10, 0, every=20)
    assert _meant(facts[:5], shows[:5], opens[:5], closes[:5]) is None
