"""Finds the reader of a figure that is read from more than one sum, or from steps of opportunities."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from sqlalchemy import Connection

from services.reports.domain.figures import Figure, Undefined
from services.reports.domain.further_kinds import FurtherKpi, LeadKpi, UntoldKpi
from services.reports.domain.kpi_kinds import Kpi
from services.reports.store.agreed import Agreed
from services.reports.store.deal_stages import DealStages
from services.reports.store.forecasts import Forecasts
from services.reports.store.lead_counts import Found, LeadCounts
from services.reports.store.queries import Queries, Question
from services.reports.store.responses import ResponseQueries
from services.reports.store.returns import Returns

__all__ = ["FurtherReadings"]

_Read: TypeAlias = Callable[[Connection, Question], Found]


class FurtherReadings:
    """Reads inside the caller's transaction."""

    def __init__(self, queries: Queries, responses: ResponseQueries) -> None:
        self._counts = LeadCounts(queries, responses)
        self._readers = {
            **_of_leads(self._counts),
            **_of_forecasts(Forecasts(queries), DealStages(queries)),
            **_of_agreements(Agreed(queries, self._counts)),
            **_of_returns(Returns(queries, responses)),
        }

    def rows(self, connection: Connection, kpi: Kpi, question: Question) -> Found | None:
        """Return the figure for each group; None for a kind of figure that is read elsewhere."""
        match kpi:
            case FurtherKpi():
                asked = replace(question, group_by=kpi.grouped_by(question.group_by))
                return self._readers[kpi.reading](connection, asked)
            case LeadKpi():
                return self._counts.leads(connection, kpi, question)
            case UntoldKpi():
                return [] if question.group_by else [((), Figure(undefined=Undefined.NO_DATA))]
            case _:
                return None


def _of_leads(counts: LeadCounts) -> Mapping[str, _Read]:
    return {
        "stays": counts.stays,
        "balance": counts.balance,
        "inflow": counts.inflow,
        "outflow": counts.outflow,
        "value": counts.value,
        "inversions": counts.inversions,
    }


def _of_forecasts(forecasts: Forecasts, stages: DealStages) -> Mapping[str, _Read]:
    return {
        "categories": forecasts.categories,
        "slippage": forecasts.slippage,
        "forecast error": forecasts.error,
        "forecast bias": forecasts.bias,
        "sourced": forecasts.sourced,
        "influenced": forecasts.influenced,
        "proposals": forecasts.proposals,
        "deal stages": stages.conversion,
        "stagnation": stages.stagnation,
        "bottleneck": stages.bottleneck,
    }


def _of_agreements(agreed: Agreed) -> Mapping[str, _Read]:
    return {
        "burning fast": agreed.burning_fast,
        "burning slowly": agreed.burning_slowly,
        "chance of misses": agreed.chance_of_misses,
        "delay of alerts": agreed.delay_of_alerts,
        "pauses": agreed.pauses,
        "payout": agreed.payout,
        "age of agreement": agreed.age_of_agreement,
        "silent promises": agreed.silent_promises,
        "delay by party": agreed.delay_by_party,
        "minutes by party": agreed.minutes_by_party,
        "open themes": agreed.open_themes,
        "verdict on conformance": agreed.verdict_on_conformance,
        "verdict on rejections": agreed.verdict_on_rejections,
        "drift of segments": agreed.drift_of_segments,
        "drift of scores": agreed.drift_of_scores,
        "cost of misses": agreed.cost_of_misses,
    }


def _of_returns(returns: Returns) -> Mapping[str, _Read]:
    return {
        "training": returns.training,
        "training before": returns.training_before,
        "system": returns.system,
        "ramp": returns.ramp,
    }
