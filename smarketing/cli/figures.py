"""How figures look: values with their interval, groups, and as of when they hold."""

from collections.abc import Iterable

from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.cli.output import span, when
from smarketing.mapping.texts import enum_word, money_text

__all__ = ["as_of_text", "group_text", "value_text"]


def value_text(value: reportspb.KpiValue) -> str:
    """Return a value; one that is not known says why, and is never 0."""
    kind = value.WhichOneof("value")
    if kind == "ratio":
        return f"{value.ratio:.1%}{_interval(value)}"
    if kind == "count":
        return f"{value.count:,}"
    if kind == "duration":
        return span(value.duration)
    if kind == "money":
        return money_text(value.money)
    if kind == "scalar":
        return f"{value.scalar:,.1f}"
    reason = enum_word(reportspb.UndefinedReason.DESCRIPTOR, value.undefined_reason)
    return f"— ({reason.replace('_', ' ')})" if reason else "—"


def group_text(keys: Iterable[reportspb.GroupKey]) -> str:
    """Return the values of a group; one that the data has not is told from an empty text."""
    return " / ".join(key.value if key.HasField("value") else "(absent)" for key in keys) or "all"


def as_of_text(as_of: reportspb.AsOf) -> str:
    """Return as of when an answer holds."""
    positions = ", ".join(f"{each.service} {each.position}" for each in as_of.positions)
    return f"As of {when(as_of.as_of_time) or 'now'}; log positions: {positions or 'none'}."


def _interval(value: reportspb.KpiValue) -> str:
    if not value.HasField("interval_low") or not value.HasField("interval_high"):
        return ""
    return f" ({value.interval_low:.1%}–{value.interval_high:.1%})"
