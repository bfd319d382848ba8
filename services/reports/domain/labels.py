"""By what figures are grouped, and the values that a handoff carries for it."""

import enum
from typing import NamedTuple, TypeAlias

__all__ = ["HANDOFF_DIMENSIONS", "UNKNOWN", "Dimension", "Group", "Labels"]


class Dimension(enum.StrEnum):
    """One way to group a figure; the value is also the name of its column."""

    SOURCE = "source"
    SOURCE_CHANNEL = "source_channel"
    MONTH = "month"
    SEGMENT = "segment"
    REGION = "region"
    TEAM = "team"
    LEAD_TYPE = "lead_type"
    COMMITMENT = "commitment_id"
    PARTY = "party"
    REASON_CODE = "reason_code"
    PRODUCT = "product"
    STAGE = "stage"
    AGREEMENT = "agreement"
    FOLLOW_UP_CHANNEL = "follow_up_channel"
    EVIDENCE_GRADE = "evidence_grade"
    ATTEMPT = "attempt"
    RESPONSE_BAND = "response_band"
    DELAY_PART = "delay_part"
    OPPORTUNITY_STAGE = "opportunity_stage"
    CLOSE_MONTH = "close_month"
    STATE = "state"
    THEME = "theme"
    CAMPAIGN = "campaign"
    INVESTMENT = "investment"
    ATTRIBUTION_MODEL = "attribution_model"
    SCORE_BAND = "score_band"
    LEAD_TIME = "lead_time"
    FORECAST_CATEGORY = "forecast_category"


HANDOFF_DIMENSIONS = (
    Dimension.SOURCE,
    Dimension.SOURCE_CHANNEL,
    Dimension.MONTH,
    Dimension.SEGMENT,
    Dimension.REGION,
    Dimension.TEAM,
    Dimension.LEAD_TYPE,
    Dimension.PRODUCT,
)
"""Those that every handoff has a value for, if only an absent one."""


class Labels(NamedTuple):
    """What a handoff is counted under. None: the data has no value, which is not the word `unknown`."""

    source: str | None = None
    source_channel: str | None = None
    segment: str | None = None
    region: str | None = None
    product: str | None = None
    lead_type: str | None = None
    team: str | None = None


UNKNOWN = Labels()
"""The labels of a handoff of which nothing was heard yet."""

Group: TypeAlias = tuple[str | None, ...]
"""Labels, and behind them what else a roll-up tells apart."""
