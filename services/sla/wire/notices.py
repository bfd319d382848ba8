"""What people read: who missed what, until when, and what to do. English and Korean, no personal datum."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

import orjson

from services.sla.domain.alert import Alert, Topic
from services.sla.domain.notice import Language
from services.sla.wire.clocks import late_text
from services.sla.wire.topics import agreement_of, headline, to_do_about
from smarketing.businesstime import BusinessTime, load_zone

TYPE: Final = "alert.notice"
MOST_NAMED: Final = 500


class Place(Enum):
    """As what somebody is told."""

    OWNER = "OWNER"
    MANAGER = "MANAGER"
    OTHER_PARTY = "OTHER_PARTY"
    LEADERSHIP = "LEADERSHIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One alert, as it is told to one person."""

    alert: Alert
    kind: str
    """Of the commitment."""
    place: Place
    late: BusinessTime
    """The clock's own time from due until now; negative before."""
    in_business_time: bool
    zone: str
    instead_of: str = ""


def subject_of(items: Sequence[Item], language: Language, *, at: datetime) -> str:
    """Return the line over a message."""
    words = _WORDS[language]
    missed = sum(_is_past(item, at) for item in items)
    if len(items) == 1:
        (item,) = items
        if item.alert.topic is not None:
            return headline(item.alert, item.alert.topic, language)
        kind = words["missed"] if missed else words["coming"]
        return f"{kind}: {_title(item)} — {_due(item)}"
    return words["many"].format(count=len(items), missed=missed, coming=len(items) - missed)


def text_of(items: Sequence[Item], language: Language, *, at: datetime, link_base: str) -> str:
    """Return the body of a message, each alert with all that its reader needs."""
    return "\n\n".join(_block(item, language, at, link_base) for item in items) + "\n"


def notice_json(
    items: Sequence[Item], language: Language, *, person: str, at: datetime, link_base: str
) -> bytes:
    """Return the body for a person's own webhook: the text, and the same as fields."""
    return orjson.dumps(
        {
            "type": TYPE,
            "timestamp": at.isoformat(),
            "recipient": person,
            "language": language.value,
            "subject": subject_of(items, language, at=at),
            "text": text_of(items, language, at=at, link_base=link_base),
            "alerts": [
                {
                    "alert": item.alert.name,
                    "handoff": item.alert.handoff,
                    "commitment": {"id": item.alert.commitment_id, "title": item.alert.commitment_title},
                    "rung": item.alert.rung_id,
                    "missed": _is_past(item, at),
                    "due_time": item.alert.due_time.isoformat(),
                    "due_text": _due(item),
                    "owner": item.alert.owner,
                    "to_do": _to_do(item, language, at),
                    "link": f"{link_base}/{_subject(item.alert)}",
                    "topic": item.alert.topic.value if item.alert.topic else "CLOCK",
                    "agreement_version": item.alert.agreement_version,
                    "instead_of": item.instead_of,
                }
                for item in items
            ],
        }
    )


def span_text(amount: BusinessTime, language: Language) -> str:
    """Return an amount of time in the words of people."""
    if language is Language.ENGLISH:
        return late_text(amount)
    seconds = abs(amount.microseconds) // 1_000_000
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if seconds < 60:
        return f"{seconds}초"
    return f"{hours}시간 {minutes}분" if hours else f"{minutes}분"


def _block(item: Item, language: Language, at: datetime, link_base: str) -> str:
    words = _WORDS[language]
    alert, past = item.alert, _is_past(item, at)
    if alert.topic is not None:
        return _topical(item, alert.topic, language, at, link_base)
    span = words["past" if past else "ahead"].format(span=span_text(item.late, language))
    basis = words["business" if item.in_business_time else "wall"]
    lines = [
        f"{words['missed' if past else 'coming']}: {_title(item)}",
        f"  {words['handoff']}: {alert.handoff}",
        f"  {words['commitment']}: {alert.commitment_id}",
        f"  {words['owner']}: {_short(alert.owner) or words['nobody']}",
        f"  {words['due']}: {_due(item)} ({basis.format(span=span)})",
        f"  {words['to_do']}: {_to_do(item, language, at)}",
    ]
    if item.instead_of:
        lines.append(f"  {words['cover'].format(person=_short(item.instead_of))}")
    lines.append(f"  {link_base}/{alert.handoff}")
    return "\n".join(lines)


def _topical(item: Item, topic: Topic, language: Language, at: datetime, link_base: str) -> str:
    words, alert = _WORDS[language], item.alert
    # A period ends, and a budget has been in its state since.
    when = words["since" if topic in {Topic.BUDGET_WARN, Topic.BUDGET_EXHAUSTED} else "until"]
    lines = [
        headline(alert, topic, language),
        f"  {words['agreement']}: {agreement_of(alert)}",
        f"  {words['commitment']}: {alert.commitment_id}",
        f"  {when}: {_due(item)}",
        f"  {words['to_do']}: {_to_do(item, language, at)}",
    ]
    if item.instead_of:
        lines.append(f"  {words['cover'].format(person=_short(item.instead_of))}")
    lines.append(f"  {link_base}/{_subject(alert)}")
    return "\n".join(lines)


def _subject(alert: Alert) -> str:
    return alert.handoff if alert.topic is None else agreement_of(alert)


def _title(item: Item) -> str:
    return item.alert.commitment_title or item.alert.commitment_id


def _due(item: Item) -> str:
    return f"{item.alert.due_time.astimezone(load_zone(item.zone).info):%Y-%m-%d %H:%M} {item.zone}"


def _is_past(item: Item, at: datetime) -> bool:
    # A warning may have waited overnight: by the time it is read the due instant may be over.
    return item.alert.missed or (item.alert.topic is None and item.alert.due_time < at)


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _to_do(item: Item, language: Language, at: datetime) -> str:
    if item.alert.topic is not None:
        return to_do_about(item.alert.topic, language)
    if item.place is not Place.OWNER:
        return _OTHERS_TO_DO[language][item.place]
    found = _OWNERS_TO_DO.get(item.kind, _ANY_TO_DO)
    late = _is_past(item, at)
    done, otherwise = found[language], _LATE_TO_DO[language]
    return f"{done} {otherwise}" if late else done


_WORDS: Final[dict[Language, dict[str, str]]] = {
    Language.ENGLISH: {
        "missed": "Missed",
        "coming": "Due soon",
        "many": "{count} alerts: {missed} missed, {coming} due soon",
        "handoff": "Handoff",
        "commitment": "Commitment",
        "owner": "Owner",
        "nobody": "nobody",
        "due": "Due",
        "since": "Since",
        "until": "The period ends",
        "agreement": "Agreement",
        "past": "{span} ago",
        "ahead": "in {span}",
        "business": "{span}, open hours only",
        "wall": "{span}",
        "to_do": "What to do",
        "cover": "You are told because you cover for {person}.",
    },
    Language.KOREAN: {
        "missed": "기한 초과",
        "coming": "기한 임박",
        "many": "알림 {count}건: 기한 초과 {missed}건, 기한 임박 {coming}건",
        "handoff": "핸드오프",
        "commitment": "약속",
        "owner": "담당",
        "nobody": "없음",
        "due": "기한",
        "since": "시작",
        "until": "기간 종료",
        "agreement": "합의서",
        "past": "{span} 지남",
        "ahead": "{span} 남음",
        "business": "업무 시간 기준 {span}",
        "wall": "{span}",
        "to_do": "할 일",
        "cover": "{person} 님을 대신해 이 알림을 받았습니다.",
    },
}

_OWNERS_TO_DO: Final[dict[str, dict[Language, str]]] = {
    "ROUTE": {
        Language.ENGLISH: "Give the handoff to somebody by hand, or correct the routing.",
        Language.KOREAN: "직접 담당자를 지정하거나 배정 규칙을 고치세요.",
    },
    "ACCEPT": {
        Language.ENGLISH: "Accept, decline or reject the offer.",
        Language.KOREAN: "제안을 수락, 거절 또는 반려하세요.",
    },
    "FIRST_FOLLOW_UP": {
        Language.ENGLISH: "Contact the lead and log the follow-up.",
        Language.KOREAN: "리드에게 연락하고 후속 연락을 기록하세요.",
    },
    "FRESHNESS": {
        Language.ENGLISH: "Find out what kept the inquiry from being submitted sooner.",
        Language.KOREAN: "문의가 늦게 제출된 원인을 확인하세요.",
    },
}
_ANY_TO_DO: Final[dict[Language, str]] = {
    Language.ENGLISH: "Do what the commitment asks, and record it.",
    Language.KOREAN: "약속한 일을 하고 기록을 남기세요.",
}
_LATE_TO_DO: Final[dict[Language, str]] = {
    Language.ENGLISH: "If you cannot do it now, ask your manager to reassign it.",
    Language.KOREAN: "지금 할 수 없으면 관리자에게 재배정을 요청하세요.",
}
_OTHERS_TO_DO: Final[dict[Language, dict[Place, str]]] = {
    Language.ENGLISH: {
        Place.MANAGER: "See that it is done now, or reassign the handoff.",
        Place.OTHER_PARTY: "Ask the other side's manager what is in the way.",
        Place.LEADERSHIP: "Ask both managers what is in the way.",
    },
    Language.KOREAN: {
        Place.MANAGER: "지금 처리되게 하거나 핸드오프를 재배정하세요.",
        Place.OTHER_PARTY: "상대 부서 관리자에게 지연 사유를 확인하세요.",
        Place.LEADERSHIP: "두 부서 관리자에게 지연 사유를 확인하세요.",
    },
}
