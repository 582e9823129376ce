"""The 60 features of `features.py` in DuckDB SQL written by hand, under the same rules and no others.

Half-open windows on the monthly grid, rows known strictly before the cutoff, exact fixed-point sums, null is unknown
and zero is none. It may know what this data happens to be: one source, nothing late, nothing corrected, and cutoffs on
the first of the month. What Holdfast finds out about the rows, it takes for granted.
"""

from __future__ import annotations

WINDOWS = (3, 6, 12)


def statements(known_as_of: str) -> list[str]:
    """SQL that makes ``by_hand`` from ``events`` and ``population``."""
    return [_BUCKETS.format(known=known_as_of), _SPINE, _framed(), _FEATURES.format(columns=",\n  ".join(_features()))]


_BUCKETS = """
CREATE OR REPLACE TEMP TABLE hand_buckets AS
SELECT customer_id, year(event_time) * 12 + month(event_time) AS b,
  count(*) AS n, max(event_time) AS last_at,
  count(c_minutes) AS nv_min, sum(c_minutes)::DECIMAL(38, 0) AS s_min,
  sum(c_minutes::DECIMAL(38, 0) * c_minutes::DECIMAL(38, 0))::DECIMAL(38, 0) AS ss_min,
  min(c_minutes) AS lo_min, max(c_minutes) AS hi_min,
  count(c_amount) AS nv_amt, sum(c_amount)::DECIMAL(38, 0) AS s_amt,
  sum(c_amount::DECIMAL(38, 0) * c_amount::DECIMAL(38, 0))::DECIMAL(38, 0) AS ss_amt, max(c_amount) AS hi_amt,
  count(*) FILTER (c_kind = 'fail') AS n_fail, max(event_time) FILTER (c_kind = 'fail') AS last_fail,
  count(*) FILTER (c_kind = 'call') AS n_call, sum(c_minutes) FILTER (c_kind = 'call')::DECIMAL(38, 0) AS s_call
FROM events WHERE available_at < TIMESTAMP '{known}'
GROUP BY ALL
"""

_SPINE = """
CREATE OR REPLACE TEMP TABLE hand_spine AS
WITH source AS (SELECT date_trunc('day', min(event_time)) AS begins FROM events),
exposed AS (
  SELECT customer_id, cutoff, k, greatest(start, begins) AS since FROM population, source WHERE cutoff > begins
),
counted AS (
  SELECT *, year(since - INTERVAL 1 MICROSECOND) * 12 + month(since - INTERVAL 1 MICROSECOND) + 1 AS first_full
  FROM exposed
),
customers AS (
  SELECT customer_id, min(first_full) AS full_from, min(k) AS low, max(k) AS high FROM counted GROUP BY ALL
),
grid AS (
  SELECT customer_id, full_from, b FROM customers, (SELECT unnest(range(
    (SELECT min(k) - 11 FROM population), (SELECT max(k) + 1 FROM population))) AS b)
  WHERE b BETWEEN low - 11 AND high
)
SELECT g.customer_id, g.b, g.full_from, p.cutoff, p.since, p.first_full, h.* EXCLUDE (customer_id, b)
FROM grid g
LEFT JOIN hand_buckets h ON h.customer_id = g.customer_id AND h.b = g.b
LEFT JOIN counted p ON p.customer_id = g.customer_id AND p.k = g.b
"""


def _framed() -> str:
    sums = {"n": (1, *WINDOWS), "n_fail": WINDOWS, "n_call": WINDOWS, "nv_min": (1, *WINDOWS), "nv_amt": (1, *WINDOWS)}
    wide = {"s_min": (1, *WINDOWS), "s_amt": (1, *WINDOWS), "ss_min": WINDOWS, "ss_amt": WINDOWS, "s_call": WINDOWS}
    peaks = {
        "lo_min": ("min", WINDOWS), "hi_min": ("max", WINDOWS), "hi_amt": ("max", WINDOWS), "last_at": ("max", (12,)),
        "last_fail": ("max", (12,)),
    }  # fmt: skip
    columns = [f"coalesce(sum({c}) OVER w{w}, 0) AS {c}_{w}" for c, ws in (sums | wide).items() for w in ws]
    columns += [f"{how}({c}) OVER w{w} AS {c}_{w}" for c, (how, ws) in peaks.items() for w in ws]
    for name, y in (("n", "n"), ("min", "s_min")):
        full = f"CASE WHEN b >= full_from THEN coalesce({y}, 0) ELSE 0 END"
        for w in WINDOWS:
            columns.append(f"sum(({full})::DECIMAL(38, 0)) OVER w{w} AS y_{name}_{w}")
            columns.append(f"sum(({full})::DECIMAL(38, 0) * b) OVER w{w} AS by_{name}_{w}")
    frames = ", ".join(
        f"w{w} AS (PARTITION BY customer_id ORDER BY b ROWS BETWEEN {w - 1} PRECEDING AND CURRENT ROW)"
        for w in (1, *WINDOWS)
    )
    return (
        f"CREATE OR REPLACE TEMP VIEW hand_framed AS SELECT customer_id, b, cutoff, since, first_full, "
        f"{', '.join(columns)} FROM hand_spine WINDOW {frames}"
    )


_FEATURES = """
CREATE OR REPLACE TEMP TABLE by_hand AS
SELECT p.customer_id, p.cutoff,
  {columns}
FROM population p LEFT JOIN hand_framed f ON f.customer_id = p.customer_id AND f.b = p.k AND f.cutoff IS NOT NULL
"""


def _features() -> list[str]:
    found: list[str] = []
    for w in WINDOWS:
        months = f"greatest(f.b - greatest(f.b - {w - 1}, f.first_full) + 1, 0)"
        for name, short, unit in (("minutes", "min", "10.0::DOUBLE"), ("amount", "amt", "100.0::DOUBLE")):
            n, s, ss = f"nv_{short}_{w}::DECIMAL(38, 0)", f"s_{short}_{w}", f"ss_{short}_{w}"
            found += [
                f"({s}::DOUBLE / {unit})::FLOAT AS {name}_sum_{w}m",
                f"({s}::DOUBLE / nullif(nv_{short}_{w}::DOUBLE * {unit}, 0))::FLOAT AS {name}_mean_{w}m",
                f"(sqrt(({n} * {ss} - {s} * {s})::DOUBLE / nullif(({n} * ({n} - 1))::DOUBLE, 0)) / {unit})::FLOAT "
                f"AS {name}_std_{w}m",
                f"(hi_{short}_{w}::DOUBLE / {unit})::FLOAT AS {name}_max_{w}m",
                f"(CASE WHEN nv_{short}_{w} > nv_{short}_1 "
                f"THEN (s_{short}_1 * (nv_{short}_{w} - nv_{short}_1))::DOUBLE "
                f"/ nullif(((s_{short}_{w} - s_{short}_1) * nv_{short}_1)::DOUBLE, 0) END)::FLOAT AS {name}_ratio_{w}m",
            ]
        found.append(f"(lo_min_{w}::DOUBLE / 10.0::DOUBLE)::FLOAT AS minutes_min_{w}m")
        for name, short, unit in (("minutes", "min", "10.0::DOUBLE"), ("events", "n", "1.0::DOUBLE")):
            m = f"({months})::DECIMAL(38, 0)"
            top = f"{m} * ((by_{short}_{w} - f.b * y_{short}_{w}) * 2 + ({m} - 1) * y_{short}_{w})"
            found.append(
                f"(CASE WHEN {m} >= 2 THEN ({top})::DOUBLE * 6 / ({m} * {m} * ({m} * {m} - 1))::DOUBLE END / {unit})"
                f"::FLOAT AS {name}_trend_{w}m"
            )
        recent = "(epoch(f.cutoff) - epoch(greatest(f.cutoff - INTERVAL 1 MONTH, f.since))) / 86400"
        whole = f"(epoch(f.cutoff) - epoch(greatest(f.cutoff - INTERVAL {w} MONTH, f.since))) / 86400"
        found += [
            f"n_{w}::FLOAT AS events_count_{w}m",
            f"(CASE WHEN {whole} > {recent} THEN n_1 * ({whole} - {recent}) / nullif((n_{w} - n_1) * {recent}, 0) END)"
            f"::FLOAT AS events_ratio_{w}m",
            f"n_fail_{w}::FLOAT AS fails_count_{w}m",
            f"(n_fail_{w}::DOUBLE / nullif(n_{w}::DOUBLE, 0))::FLOAT AS fails_share_{w}m",
            f"n_call_{w}::FLOAT AS calls_count_{w}m",
            f"(s_call_{w}::DOUBLE / 10.0::DOUBLE)::FLOAT AS calls_sum_{w}m",
        ]
    seconds = "epoch(date_trunc('second', f.cutoff)) - epoch(date_trunc('second', {}))"
    found += [
        f"(({seconds.format('last_at_12')}) / 86400)::FLOAT AS events_recency_12m",
        f"(({seconds.format('last_fail_12')}) / 86400)::FLOAT AS fails_recency_12m",
        "coalesce(greatest(f.b - greatest(f.b - 11, f.first_full) + 1, 0), 0)::FLOAT AS events_exposure_months",
    ]
    return found
