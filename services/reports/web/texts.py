"""Every word of the pages, in each language: one catalogue, one line a text."""

from collections.abc import Mapping
from typing import Final

from smarketing.server.languages import Language

__all__ = ["TEXTS", "Texts"]

TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    # The frame.
    "title": ("Marketing and sales, one set of figures", "마케팅과 영업, 하나의 지표"),
    "tenant": ("Tenant {tenant}", "테넌트 {tenant}"),
    "skip": ("Skip to the figures", "지표로 건너뛰기"),
    "other_language": ("한국어", "English"),
    "sign_out": ("Sign out", "로그아웃"),
    "denied": (
        "You may not see these figures. Ask an administrator for the role that may.",
        "이 지표를 볼 권한이 없습니다. 관리자에게 권한을 요청하세요.",
    ),
    "denied_title": ("Not for this token", "이 토큰으로는 볼 수 없습니다"),
    "denied_next": (
        "With another token you can sign out here and sign in again.",
        "다른 토큰이 있으면 로그아웃한 뒤 다시 로그인하세요.",
    ),
    "busy": (
        "Too many pages are being read at once. Try again in a moment.",
        "지금은 요청이 많습니다. 잠시 후 다시 시도하세요.",
    ),
    "stale": (
        "These figures may be behind: for {age} it has not been certain that every event is counted.",
        "지표가 최신이 아닐 수 있습니다. {age} 동안 모든 이벤트의 반영을 확인하지 못했습니다.",
    ),
    "own_side": (
        "You see your own party's promises; the funnel and response times are everybody's.",
        "본인 소속 당사자의 약속만 표시됩니다. 퍼널과 응답 시간은 모두에게 공개됩니다.",
    ),
    # The period.
    "period": ("Period", "기간"),
    "this-month": ("This month", "이번 달"),
    "last-month": ("Last month", "지난달"),
    "last-30-days": ("Last 30 days", "최근 30일"),
    "this-quarter": ("This quarter", "이번 분기"),
    "all": ("All time", "전체 기간"),
    "custom": ("Own dates", "직접 지정"),
    "from": ("From", "시작일"),
    "to": ("To, included", "종료일(포함)"),
    "show": ("Show", "보기"),
    "dates": ("{first} to {last}", "{first} ~ {last}"),
    "dates_all": ("everything recorded", "기록된 전체"),
    "zone": ("days of {zone}", "{zone} 기준 날짜"),
    "period_invalid": (
        "This is no period: choose two dates, the first not after the last.",
        "잘못된 기간입니다. 시작일이 종료일보다 늦지 않은 두 날짜를 선택하세요.",
    ),
    "as_of_invalid": (
        "There is no such state, or it is too old: name a past instant as in 2026-03-31T18:00:00Z.",
        "해당 시점이 없거나 너무 오래되었습니다. 과거 시각을 2026-03-31T18:00:00Z 형식으로 지정하세요.",
    ),
    "past": (
        "You see what was known at {time}. What has been told since is not in it.",
        "{time} 당시의 지표입니다. 이후에 기록된 내용은 포함되지 않습니다.",
    ),
    "present": ("Show the present", "현재 지표 보기"),
    # Figures.
    "headline": ("At a glance", "한눈에 보기"),
    "items": ("{number} counted", "{number}건 집계"),
    "interval": ("95% interval {low} to {high}", "95% 신뢰구간 {low} ~ {high}"),
    "still_open": ("{number} still open", "{number}건 진행 중"),
    "still_waiting": ("{number} still waiting", "{number}건 대기 중"),
    "median": ("median", "중앙값"),
    "maturity": ("{share} observed for the full horizon", "{share}가 전체 기간 관찰됨"),
    "kept_out": ("{number} kept out: contradictory times", "{number}건 제외: 시각 모순"),
    "no_denominator": ("nothing to measure yet", "아직 측정할 항목이 없음"),
    "quantile_not_reached": (
        "not reached: too many still wait",
        "도달하지 않음: 아직 대기 중인 건이 많음",
    ),
    "not_reached": ("not reached", "도달하지 않음"),
    "no_data": ("not recorded yet", "아직 기록되지 않음"),
    "quota_met": ("the quota is met", "할당량 달성"),
    "mixed_currencies": ("amounts in several currencies", "여러 통화의 금액"),
    # The scorecard.
    "scorecard": ("Scorecard", "스코어카드"),
    "scorecard_lead": (
        "What each party promised, counted when it fell due.",
        "각 당사자의 약속을 기한이 된 시점에 집계합니다.",
    ),
    "marketing": ("Marketing", "마케팅"),
    "sales": ("Sales", "영업"),
    "system": ("System", "시스템"),
    "buyer": ("Buyer", "구매자"),
    "none": ("Nobody", "해당 없음"),
    "nobody": ("(nobody named)", "(지정되지 않음)"),
    "no_commitments": ("Nothing promised yet.", "아직 약속이 없습니다."),
    "commitment": ("Commitment", "약속"),
    "party": ("Party", "당사자"),
    "compliance": ("Compliance", "준수율"),
    "objective": ("Objective", "목표"),
    "objective_of": ("objective {share}", "목표 {share}"),
    "no_objective": ("no objective", "목표 없음"),
    "met": ("Met", "준수"),
    "breached": ("Breached", "위반"),
    "excused": ("Excused", "면제"),
    "void": ("Void", "무효"),
    "open": ("Open", "진행 중"),
    "overdue": ("Overdue", "기한 초과"),
    "kept": ("on target", "목표 달성"),
    "missed": ("below target", "목표 미달"),
    "unsure": ("too few to tell", "판단하기에 부족"),
    "chart_compliance": (
        "{title}: {share} against an objective of {objective}",
        "{title}: {share}, 목표 {objective}",
    ),
    # The funnel.
    "funnel": ("Funnel", "퍼널"),
    "funnel_lead": (
        "Handoffs submitted in the period, and how far they have come since. A skipped stage is credited.",
        "기간 내 제출된 핸드오프가 지금까지 도달한 단계입니다. 건너뛴 단계도 도달로 봅니다.",
    ),
    "stage": ("Stage", "단계"),
    "submitted": ("Submitted", "제출"),
    "accepted": ("Accepted", "수락"),
    "worked": ("Followed up", "후속 연락"),
    "qualified": ("Qualified", "적격 판정"),
    "converted": ("Opportunity", "영업 기회"),
    "won": ("Won", "수주"),
    "lost": ("Lost", "실주"),
    "rejected": ("Rejected", "거절"),
    "won_ratio": ("Won of submitted", "제출 대비 수주"),
    "of_submitted": ("Of submitted", "제출 대비"),
    "of_before": ("Of the stage before", "이전 단계 대비"),
    "count": ("Handoffs", "핸드오프"),
    "by_source": ("By source", "소스별"),
    "by_month": ("By month of submission", "제출 월별"),
    "source": ("Source", "소스"),
    "month": ("Month", "월"),
    "no_source": ("(no source)", "(소스 없음)"),
    "empty_text": ("(empty text)", "(빈 값)"),
    "other_sources": ("{number} further sources", "그 외 소스 {number}개"),
    "earlier_months": ("{number} earlier months are left out here.", "이전 {number}개월은 생략했습니다."),
    "nothing_submitted": (
        "No handoff was submitted in this period.",
        "이 기간에 제출된 핸드오프가 없습니다.",
    ),
    "chart_funnel": ("Handoffs by stage reached", "도달 단계별 핸드오프"),
    "chart_sources": ("Handoffs by source and stage reached", "소스 및 도달 단계별 핸드오프"),
    "chart_months": ("Handoffs by month and stage reached", "월 및 도달 단계별 핸드오프"),
    # Acceptance and rejection.
    "acceptance": ("Acceptance", "수락과 거절"),
    "acceptance_lead": (
        "Of the handoffs submitted in the period: what sales said, and on whom each no is counted.",
        "기간 내 제출된 핸드오프에 대한 영업의 답변과 거절 사유의 책임 당사자입니다.",
    ),
    "reason": ("Reason", "사유"),
    "share": ("Share", "비율"),
    "accountable": ("Counted on", "책임 당사자"),
    "no_rejections": ("Nothing was rejected in this period.", "이 기간에 거절된 건이 없습니다."),
    "chart_reasons": ("Rejections by reason and accountable party", "사유 및 책임 당사자별 거절"),
    # Response times.
    "responses": ("Response times", "응답 시간"),
    "responses_lead": (
        "Those who still wait are counted too. The numbers under each axis still waited at that time.",
        "아직 대기 중인 건도 포함합니다. 축 아래 숫자는 그 시점에 대기 중이던 건수입니다.",
    ),
    "measure": ("Measure", "측정"),
    "business_time": ("business time", "업무 시간"),
    "wall_time": ("wall time", "경과 시간"),
    "answered_share": ("% answered", "응답 %"),
    "at_risk": ("waiting then", "당시 대기"),
    "p50": ("Half by", "50%"),
    "p75": ("75% by", "75%"),
    "p90": ("90% by", "90%"),
    "p95": ("95% by", "95%"),
    "after": ("After", "경과"),
    "waiting": ("Waiting", "대기 중"),
    "chart_curve": (
        "{title}: share answered over time; half answered by {median}",
        "{title}: 시간에 따른 응답 비율, 절반 응답까지 {median}",
    ),
    "no_items": ("Nothing to measure in this period.", "이 기간에 측정할 항목이 없습니다."),
    # Lists.
    "overdue_list": ("Overdue now", "현재 기한 초과"),
    "due_list": ("Due next", "다음 기한"),
    "lists_lead": (
        "As things stand, whatever the period. Ids only; no lead is shown here.",
        "기간과 관계없이 현재 상태입니다. 식별자만 표시하며 리드 정보는 표시하지 않습니다.",
    ),
    "handoff": ("Handoff", "핸드오프"),
    "owner": ("Owner", "담당자"),
    "no_owner": ("(no owner)", "(담당자 없음)"),
    "team": ("Team", "팀"),
    "due": ("Due", "기한"),
    "list_more": (
        "The first {shown} are shown; the files hold up to {number}.",
        "처음 {shown}건을 표시하며, 파일에는 최대 {number}건이 있습니다.",
    ),
    "nothing_overdue": ("Nothing is overdue.", "기한을 넘긴 건이 없습니다."),
    "nothing_due": ("Nothing is running.", "진행 중인 건이 없습니다."),
    # As of.
    "as_of": ("As of", "기준"),
    "as_of_lead": (
        "Figures fold two event logs; these positions are counted. Open items were judged at {time}.",
        "지표는 두 이벤트 로그를 합산하며 다음 위치까지 반영했습니다. 진행 중 건의 판정 시각: {time}.",
    ),
    "log": ("Log", "로그"),
    "position": ("Position", "위치"),
    "newest_event": ("Newest event", "최신 이벤트"),
    "fresh": ("current within {age}", "{age} 이내 최신"),
    "no_logs": ("Nothing has been read yet.", "아직 읽은 내용이 없습니다."),
    "table_of": ("The numbers", "수치 보기"),
    "figure": ("Figure", "지표"),
    "value": ("Value", "값"),
    "numerator": ("Numerator", "분자"),
    "denominator": ("Denominator", "분모"),
    # Times.
    "seconds": ("{number} s", "{number}초"),
    "minutes": ("{number} min", "{number}분"),
    "hours": ("{number} h", "{number}시간"),
    "days": ("{number} d", "{number}일"),
    # Names of figures; another shows its title of the registry.
    "kpi_H1": ("Acceptance of handoffs", "핸드오프 수락률"),
    "kpi_H5": ("Lead to customer", "리드의 고객 전환율"),
    "kpi_H12": ("Lost in handoff", "핸드오프 유실"),
    "kpi_K10": ("Inquiry to submission", "문의에서 제출까지 시간"),
    "kpi_K11": ("Acceptance of marketing leads", "마케팅 리드 수락률"),
    "kpi_K12": ("Rejections on marketing's account", "마케팅 책임 거절률"),
    "kpi_P6": ("Win rate", "수주율"),
    "kpi_S8": ("Time to accept", "수락까지 시간"),
    "kpi_S10": ("Time to first follow-up, owner time", "첫 후속 연락까지 시간(담당자 시간)"),
    "kpi_S11": ("Speed to lead, buyer time", "리드 응답 속도(구매자 시간)"),
    "kpi_S14": ("Untouched after 24 hours", "24시간 후 미접촉"),
    "kpi_S23": ("Offers that expired", "만료된 제안"),
    "kpi_V1": ("Revenue booked", "확정 매출"),
}
"""Key → English, Korean."""

_COLUMN: Final = {Language.ENGLISH: 0, Language.KOREAN: 1}


class Texts:
    """The catalogue in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._column = _COLUMN[language]

    def __call__(self, key: str, /, **words: str | int) -> str:
        """Return a text with its words put in; they are plain text, escaped where they are shown."""
        return TEXTS[key][self._column].format(**words)

    def find(self, key: str, default: str) -> str:
        """Return a text, or `default` where the catalogue has none."""
        return self(key) if key in TEXTS else default
