"""Switches that change the company from a month on; all are off by default."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

from holdfast.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Scenario:
    """What happens to the company, and from which month (0 is the first) on.

    Attributes
    ----------
    outage_month : for ``outage_months`` months from here, usage in ``outage_region`` collapses and tickets burst
    competitor_month : everybody's hazard is higher from here on
    region_shift_month : those who sign up from here on come from other regions
    unit_change_month : ``usage.data_gb`` is recorded in MB from here on
    stopped_feed_month : no row of ``tickets`` arrives from here on, though customers still call
    """

    outage_month: int | None = None
    outage_region: str = "north"
    outage_months: int = 2
    competitor_month: int | None = None
    region_shift_month: int | None = None
    unit_change_month: int | None = None
    stopped_feed_month: int | None = None

    def check(self, *, months: int, regions: Sequence[str]) -> None:
        """Refuse a switch outside history or an unknown region.

        Raises
        ------
        UsageError
            A start month is not in ``0..months - 1``, or ``outage_region`` is no region.
        """
        for field in fields(self):
            month = getattr(self, field.name)
            if field.name.endswith("_month") and month is not None and not 0 <= month < months:
                fix = f"Give a month from 0 to {months - 1}"
                raise UsageError(f"scenario {field.name} is {month}", fix=fix)
        if self.outage_months < 1:
            raise UsageError(f"scenario outage_months is {self.outage_months}", fix="Give 1 or more")
        if self.outage_region not in regions:
            hint = did_you_mean(self.outage_region, regions)
            raise UsageError(f"scenario outage_region is '{self.outage_region}'", fix=hint)

    def outage_in(self, month: int) -> bool:
        first = self.outage_month
        return first is not None and first <= month < first + self.outage_months

    def competitor_in(self, month: int) -> bool:
        return self.competitor_month is not None and month >= self.competitor_month

    def to_json(self) -> dict[str, object]:
        return asdict(self)
