"""How far two histograms are apart, and how far chance alone would put them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, chdtri

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PSEUDO_COUNT = 0.5  # Jeffreys: an empty bin is half a row, not an infinite divergence
MIN_SHARE = 1e-4  # and at least this share of the rows, so that PSI does not grow with the size of the reference
MIN_EXPECTED = 5.0  # Cochran's rule: rarer bins are pooled for the test


def smoothed(counts: IntArray) -> FloatArray:
    """(b,) shares with ``a = max(0.5, 0.0001 n)`` added to every bin: ``(c + a) / (n + a b)``."""
    n = int(counts.sum())
    add = max(PSEUDO_COUNT, MIN_SHARE * n)
    return np.asarray((counts + add) / (n + add * len(counts)), dtype=np.float64)


def psi(current: IntArray, reference: IntArray) -> float:
    """Population stability index, ``sum (a - b) ln(a / b)`` over smoothed shares; 0 iff they are equal.

    It is the symmetric Kullback-Leibler divergence ``KL(a|b) + KL(b|a)`` (Jeffreys 1946).
    """
    a, b = smoothed(current), smoothed(reference)
    return float(np.sum((a - b) * np.log(a / b)))


def kl(current: IntArray, reference: IntArray) -> float:
    """Kullback-Leibler divergence of the current from the reference, ``sum a ln(a / b)`` in nats."""
    a, b = smoothed(current), smoothed(reference)
    return max(0.0, float(np.sum(a * np.log(a / b))))  # rounding can fall just below zero


@dataclass(frozen=True)
class Chance:
    """What chance alone does where nothing changed.

    Attributes
    ----------
    psi_expected : mean PSI under no change, ``(1/n + 1/m) (b - 1)``
    psi_critical : PSI that chance exceeds with probability ``alpha``, for this row taken alone
    p : probability of counts at least this far apart under no change
    """

    psi_expected: float
    psi_critical: float
    p: float


def compute_chance(current: IntArray, reference: IntArray, alpha: float, *, reference_size: float) -> Chance:
    """The null distribution of PSI and the p-value of a change.

    Under no change PSI is about ``(1/n + 1/m)`` times a chi-square of b - 1 degrees of freedom (Yurdakul & Naranjo
    2020, "Statistical properties of the population stability index"). The p-value comes from Pearson's test of
    homogeneity on the same bins, the same limit without PSI's logarithm, which has far too long a tail where bins
    hold few rows; bins that expect fewer than `MIN_EXPECTED` current rows are pooled first.

    Parameters
    ----------
    current, reference : (b,) counts
    reference_size : how many independent rows the reference is worth; fewer than its rows where customers repeat
    """
    m, n = float(current.sum()), float(reference_size)
    scale = 1.0 / n + 1.0 / m
    seen = int(((current + reference) > 0).sum())
    freedom = max(seen - 1, 0)
    expected = scale * freedom
    critical = scale * float(chdtri(freedom, alpha)) if freedom else 0.0
    a, b = current / m, reference / reference.sum()
    a, b = _pooled(a, b, (m * a + n * b) / (m + n), min(m, n))
    if len(a) < 2:
        return Chance(expected, critical, 1.0)
    share = (m * a + n * b) / (m + n)
    statistic = float(np.sum((a - b) ** 2 / share) / scale)
    return Chance(expected, critical, float(chdtrc(len(a) - 1, statistic)))


def _pooled(a: FloatArray, b: FloatArray, share: FloatArray, rows: float) -> tuple[FloatArray, FloatArray]:
    """Rare bins as one; if that one is still rare it joins the rarest of the others."""
    keep = share * rows >= MIN_EXPECTED
    rare = ~keep & (share > 0)
    if not rare.any():
        return a[keep], b[keep]
    if share[rare].sum() * rows < MIN_EXPECTED and keep.any():
        rarest = np.flatnonzero(keep)[np.argmin(share[keep])]
        keep[rarest], rare[rarest] = False, True
    return np.append(a[keep], a[rare].sum()), np.append(b[keep], b[rare].sum())


def adjusted(p: FloatArray) -> FloatArray:
    """Benjamini-Hochberg adjusted p-values: calling those below alpha keeps the false discovery rate at alpha.

    Where nothing changed at all, the probability of any call is then at most alpha too. Exact for independent
    rows, and valid for positively dependent ones, as windows of one measure are (Benjamini & Yekutieli 2001).

    >>> adjusted(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    if not len(p):
        return p
    order = np.argsort(p)
    ranked = p[order] * len(p) / np.arange(1, len(p) + 1)
    out = np.empty(len(p))
    out[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return out
