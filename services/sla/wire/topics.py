"""What people read of alerts that are of no clock: budgets and marketing's periods. English and Korean."""

from typing import Final

from services.sla.domain.alert import Alert, Topic
from services.sla.domain.notice import Language
from smarketing.names import AGREEMENT_VERSION

__all__ = ["agreement_of", "headline", "to_do_about"]

_PERIOD: Final = {
    Language.ENGLISH: {
        "value": "implied value against quota",
        "conformance": "share that meets the MQL definition",
        "completeness": "share of required fields filled in",
        "rejections": "share rejected on marketing's account",
    },
    Language.KOREAN: {
        "value": "할당량 대비 리드 가치",
        "conformance": "MQL 정의 충족 비율",
        "completeness": "필수 항목 입력 비율",
        "rejections": "마케팅 사유 반려 비율",
    },
}
_HEADLINES: Final = {
    Language.ENGLISH: {
        Topic.BUDGET_WARN: "Error budget burns too fast: {what}",
        Topic.BUDGET_EXHAUSTED: "Error budget used up: {what}",
        Topic.PACE_BEHIND: "Behind the quota's pace in {about}: {what}",
        Topic.PACE_AHEAD: "Ahead of the pace that sales can take in {about}: {what}",
        Topic.PERIOD_MISSED: "Missed in {about}: {what}",
    },
    Language.KOREAN: {
        Topic.BUDGET_WARN: "오류 예산 소진이 너무 빠름: {what}",
        Topic.BUDGET_EXHAUSTED: "오류 예산 소진: {what}",
        Topic.PACE_BEHIND: "{about} 할당량 진행이 느림: {what}",
        Topic.PACE_AHEAD: "{about} 영업이 감당할 속도를 넘음: {what}",
        Topic.PERIOD_MISSED: "{about} 약속 미달: {what}",
    },
}
_TO_DO: Final = {
    Language.ENGLISH: {
        Topic.BUDGET_WARN: "Look at what was missed lately and remove its cause.",
        Topic.BUDGET_EXHAUSTED: "Do what the agreement says, and settle with the other side how it goes on.",
        Topic.PACE_BEHIND: "Look at the period, and agree with sales how the rest of the value comes.",
        Topic.PACE_AHEAD: "Slow down, or agree with sales on more people.",
        Topic.PERIOD_MISSED: "Look at the period with sales, and agree what changes.",
    },
    Language.KOREAN: {
        Topic.BUDGET_WARN: "최근 놓친 건을 확인하고 원인을 없애세요.",
        Topic.BUDGET_EXHAUSTED: "합의서에 정한 조치를 하고 상대 부서와 이후를 정하세요.",
        Topic.PACE_BEHIND: "기간 현황을 보고 남은 가치를 어떻게 채울지 영업과 합의하세요.",
        Topic.PACE_AHEAD: "속도를 줄이거나 영업과 증원을 합의하세요.",
        Topic.PERIOD_MISSED: "영업과 함께 기간 현황을 보고 바꿀 점을 합의하세요.",
    },
}


def headline(alert: Alert, topic: Topic, language: Language) -> str:
    """Return in one line what happened."""
    is_period = topic not in {Topic.BUDGET_WARN, Topic.BUDGET_EXHAUSTED}
    title = alert.commitment_title or alert.commitment_id
    what = _PERIOD[language].get(alert.commitment_id, title) if is_period else title
    return _HEADLINES[language][topic].format(about=alert.rung_id, what=what)


def to_do_about(topic: Topic, language: Language) -> str:
    """Return what is to be done about it."""
    return _TO_DO[language][topic]


def agreement_of(alert: Alert) -> str:
    """Return the agreement that an alert without a clock is about, by name."""
    tenant, agreement, _ = AGREEMENT_VERSION.parse(alert.agreement_version)
    return f"tenants/{tenant}/agreements/{agreement}"
