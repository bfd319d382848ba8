"""Rules for Prometheus out of the agreements in force: what the parties promised decides what alerts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final

import yaml
from google.protobuf.duration_pb2 import Duration

from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.output import id_of

__all__ = ["BurnUnreachable", "Promised", "promised_by", "rules_text"]

_WHOLE: Final = 10_000
_RUNBOOK: Final = "docs/runbook.md"
_DASHBOARD: Final = "/d/smarketing-leadership"
_WINDOW: Final = timedelta(hours=160)
_FAST_WINDOW: Final = timedelta(hours=8)
_FAST_SHARE: Final = 1_000
_MINIMUM_SETTLED: Final = 30
"""What holds where the agreement says nothing, as the contract has it."""
_BURN: Final = "commitment:smarketing_sla_burn_rate:"
_SETTLED: Final = "commitment:smarketing_sla_settled:"
_HEAD: Final = (
    "# Made from the agreements in force by `smarketing sla rules`; write over it, do not edit it.\n"
)

Rule = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """A commitment in force."""

    tenant: str
    agreement: str
    commitment: slapb.Commitment

    @property
    def allowed(self) -> Fraction:
        """The share that may be missed."""
        return Fraction(_WHOLE - self.commitment.objective_basis_points, _WHOLE)

    @property
    def threshold(self) -> Fraction:
        """The burn rate at which the fast alert fires."""
        terms = self.commitment.error_budget
        window = _span(terms.budget_window) or _WINDOW
        fast = _span(terms.fast_window) or _FAST_WINDOW
        return Fraction(terms.fast_share_basis_points or _FAST_SHARE, _WHOLE) * Fraction(window / fast)

    @property
    def minimum_settled(self) -> int:
        """With fewer in the long window, exact chances stand in for the ratio."""
        return self.commitment.error_budget.minimum_settled or _MINIMUM_SETTLED

    @property
    def target_seconds(self) -> int:
        """The longest of its targets."""
        return max((tier.target_duration.seconds for tier in self.commitment.tiers), default=0)

    @property
    def labels(self) -> dict[str, str]:
        """What tells its series from others."""
        return {
            "tenant": self.tenant,
            "agreement": self.agreement,
            "commitment": self.commitment.commitment_id,
        }


class BurnUnreachable(Exception):
    """An alert that can never fire: with every clock missed the burn is one by the share allowed.

    The service refuses such an agreement too; rules that would only look watchful are not written.
    """

    def __init__(self, promised: Promised) -> None:
        self.promised = promised
        super().__init__(
            f"{promised.agreement} {promised.commitment.commitment_id}: the fast alert waits for a burn of "
            f"{float(promised.threshold):.2f}, and none is above {float(1 / promised.allowed):.2f}"
        )


def rules_text(promises: Sequence[Promised]) -> str:
    """Return the rules as a file for Prometheus, in the order of tenant, agreement and commitment.

    Raises:
        BurnUnreachable: one of the alerts could never fire.
    """
    ordered = sorted(promises, key=lambda each: tuple(each.labels.values()))
    groups = [
        {"name": f"agreement:{'/'.join(each.labels.values())}", "rules": list(_rules(each))}
        for each in ordered
        if each.allowed
    ]
    return _HEAD + yaml.safe_dump({"groups": groups}, sort_keys=False, allow_unicode=True, width=110)


def _rules(promised: Promised) -> Iterator[Rule]:
    if promised.threshold * promised.allowed >= 1:
        raise BurnUnreachable(promised)
    for window in ("fast_long", "fast_short", "slow_long", "slow_short"):
        yield from _recorded(promised, window)
    yield {
        "record": "commitment:smarketing_sla_objective:ratio",
        "expr": f"vector({float(1 - promised.allowed)})",
        "labels": promised.labels,
    }
    yield from _budget_alerts(promised)
    match promised.commitment.kind:
        case slapb.COMMITMENT_KIND_ACCEPT:
            yield _offers_ignored(promised)
        case slapb.COMMITMENT_KIND_FIRST_FOLLOW_UP:
            yield _backlog(promised)
        case _:
            pass


def _recorded(promised: Promised, window: str) -> Iterator[Rule]:
    seen = _selector("smarketing_sla_settled_in_window", **promised.labels, window=window)
    bad = _selector("smarketing_sla_settled_in_window", **promised.labels, window=window, result="bad")
    # Every replica reads the same counts: one of them, never their sum.
    settled = f"sum without(result, window) (max without(instance, job) ({seen}))"
    missed = f"sum without(result, window) (max without(instance, job) ({bad}))"
    yield {"record": f"{_SETTLED}{window}", "expr": settled, "labels": promised.labels}
    # Nothing settled is no rate at all, rather than a division by nothing.
    yield {
        "record": f"{_BURN}{window}",
        "expr": f"{missed} / ({settled} > 0) / {float(promised.allowed)}",
        "labels": promised.labels,
    }


def _budget_alerts(promised: Promised) -> Iterator[Rule]:
    what = f"{promised.commitment.title or promised.commitment.commitment_id}"
    # An open budget of small numbers is judged by `sla` itself, exactly; its verdict stands in.
    for name, pair, k, severity, team, hold in (
        ("SLABudgetBurnFast", "fast", promised.threshold, "page", "sales-ops", "0s"),
        ("SLABudgetBurnSlow", "slow", Fraction(1), "ticket", "sales-ops", "0s"),
    ):
        yield _alert(
            name,
            expr=_burns(promised, pair, k),
            hold=hold,
            labels={**promised.labels, "severity": severity, "audience": team},
            summary=f"{what}: the error budget burns {'fast' if pair == 'fast' else 'too fast to last'}",
        )
    left = _selector("smarketing_sla_budget_alerts", **promised.labels, alert="exhausted")
    yield _alert(
        "SLABudgetExhausted",
        expr=f"max without(instance, job) ({left}) > 0",
        hold="5m",
        labels={**promised.labels, "severity": "ticket", "audience": "sales-ops"},
        summary=f"{what}: nothing of the error budget is left",
    )


def _burns(promised: Promised, pair: str, threshold: Fraction) -> str:
    long, short = (_selector(f"{_BURN}{pair}_{length}", **promised.labels) for length in ("long", "short"))
    settled = _selector(f"{_SETTLED}{pair}_long", **promised.labels)
    verdict = _selector("smarketing_sla_budget_alerts", **promised.labels, alert=pair)
    k, least = float(threshold), promised.minimum_settled
    return (
        f"({long} >= {k} and {short} >= {k} and {settled} >= {least})"
        f" or (max without(instance, job, alert) ({verdict}) > 0 and {settled} < {least})"
    )


def _offers_ignored(promised: Promised) -> Rule:
    oldest = _selector("smarketing_leads_oldest_offered_timestamp_seconds", tenant=promised.tenant)
    overdue = _selector(
        "smarketing_sla_clocks_open",
        tenant=promised.tenant,
        commitment=promised.commitment.commitment_id,
        state="overdue",
    )
    # By the wall an offer of last night is old at dawn; its clock has not run, and so is not overdue.
    return _alert(
        "LeadOffersIgnored",
        expr=f"time() - min without(instance, job) ({oldest}) > {2 * promised.target_seconds}"
        f" and on(tenant) sum by(tenant) (max without(instance, job) ({overdue})) > 0",
        hold="5m",
        labels={**promised.labels, "severity": "sales", "audience": "sales"},
        summary="An offer has waited for twice the time in which offers are to be answered",
        dashboard="/d/smarketing-sales-floor",
    )


def _backlog(promised: Promised) -> Rule:
    of = {"tenant": promised.tenant, "commitment": promised.commitment.commitment_id}
    overdue = _selector("smarketing_sla_clocks_open", **of, state="overdue")
    every = _selector("smarketing_sla_clocks_open", **of)
    total = f"sum by(tenant, team) (max without(instance, job) ({every}))"
    return _alert(
        "LeadFollowUpBacklog",
        expr=f"sum by(tenant, team) (max without(instance, job) ({overdue})) / {total} >= 0.2"
        f" and {total} >= 5",
        hold="10m",
        labels={**promised.labels, "severity": "sales", "audience": "sales", "escalate": "yes"},
        summary="A fifth of what team {{ $labels.team }} has to follow up is overdue",
        dashboard="/d/smarketing-sales-floor",
    )


def _alert(
    name: str,
    *,
    expr: str,
    hold: str,
    labels: Mapping[str, str],
    summary: str,
    dashboard: str = _DASHBOARD,
) -> Rule:
    return {
        "alert": name,
        "expr": expr,
        "for": hold,
        "labels": dict(labels),
        "annotations": {
            "summary": summary,
            "runbook_url": f"{_RUNBOOK}#{name.lower()}",
            "dashboard_url": dashboard,
        },
    }


def _selector(metric: str, **labels: str) -> str:
    """Return what selects a metric's series with these labels."""
    conditions = ", ".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{metric}{{{conditions}}}"


def promised_by(version: slapb.AgreementVersion, tenant: str) -> list[Promised]:
    """Return what a version promises."""
    agreement = id_of(version.name).removeprefix("agreements/").partition("/")[0]
    return [Promised(tenant=tenant, agreement=agreement, commitment=each) for each in version.commitments]


def _span(duration: Duration) -> timedelta:
    return duration.ToTimedelta()
