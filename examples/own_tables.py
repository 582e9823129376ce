"""Writes three CSV tables of a small, made-up business for the tutorial: python examples/own_tables.py FOLDER"""

from __future__ import annotations

import csv
import random
import sys
from datetime import date, timedelta
from pathlib import Path

FIRST = date(2023, 1, 1)
DAYS = 900
CUSTOMERS = 600
SEED = 11


def write(folder: Path) -> None:
    """Customers who visit less in the two months before they leave."""
    dice = random.Random(SEED)
    customers, plans, visits = [], [], []
    for n in range(CUSTOMERS):
        customer = f"K{n:04d}"
        start = FIRST + timedelta(days=dice.randrange(90))
        end = start + timedelta(days=dice.randrange(90, 1200))
        last = FIRST + timedelta(days=DAYS)
        customers.append([customer, start, end if end < last else "", dice.choice(["north", "south"])])
        plans.append([customer, start, f"{20 + 30 * dice.random():.2f}"])
        day = start
        while True:
            day += timedelta(days=dice.randrange(4, 40) + (dice.randrange(25) if (end - day).days < 60 else 0))
            if day >= min(end, last):
                break
            visits.append([f"V{len(visits)}", customer, day, dice.randrange(5, 60)])
    folder.mkdir(parents=True, exist_ok=True)
    for name, header, rows in (
        ("customers", ["customer_id", "started_at", "ended_at", "region"], customers),
        ("plans", ["customer_id", "valid_from", "price"], plans),
        ("visits", ["visit_id", "customer_id", "visited_at", "minutes"], visits),
    ):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "mine"))
