"""What the field heard from leads, for marketing and product, with what marketing does about it."""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Final

from services.leads.domain.errors import EtagStale, FieldInvalid
from services.leads.domain.handoff_id import HandoffId
from services.leads.domain.terms import Money

_THEME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}").fullmatch
_LONGEST_VERBATIM: Final = 4_000
_LONGEST_NAME: Final = 100


class FeedbackType(IntEnum):
    """What it is about, numbered as in the contract."""

    PRICE = 1
    FEATURE = 2
    TERMS = 3
    COMPETITOR = 4
    MESSAGE = 5
    AUDIENCE = 6
    OTHER = 7


class FeedbackStatus(IntEnum):
    """What marketing does with it, numbered as in the contract."""

    NEW = 1
    ACKNOWLEDGED = 2
    IN_PROGRESS = 3
    DONE = 4
    DECLINED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What was heard; the words themselves are personal, and kept sealed elsewhere."""

    tenant: str
    feedback_id: str
    handoff: HandoffId
    version: int = 1
    type: FeedbackType
    theme: str
    competitor: str = ""
    price: Money | None = None
    person: str
    create_time: datetime
    status: FeedbackStatus = FeedbackStatus.NEW
    status_person: str = ""

    @property
    def name(self) -> str:
        """The resource name."""
        return f"tenants/{self.tenant}/feedback/{self.feedback_id}"

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return str(self.version)

    def with_status(self, status: FeedbackStatus | None, *, person: str, etag: str) -> "Feedback":
        """Return it with what becomes of it.

        Raises:
            EtagStale: somebody was faster.
            FieldInvalid: it is no longer new, and never again.
        """
        if etag and etag != self.etag:
            raise EtagStale(self.name, self.etag)
        if status is None or status is FeedbackStatus.NEW:
            raise FieldInvalid("status", "ACKNOWLEDGED, IN_PROGRESS, DONE or DECLINED")
        return replace(self, status=status, status_person=person, version=self.version + 1)


def check_feedback(theme: str, competitor: str, price: Money | None, verbatim: str) -> None:
    """Refuse what cannot be taken.

    Raises:
        FieldInvalid: the first thing that is wrong.
    """
    if not _THEME(theme):
        raise FieldInvalid("feedback.theme", "a code of a-z, 0-9 and inner `.`, `_`, `-`")
    if len(competitor) > _LONGEST_NAME or not competitor.isprintable():
        raise FieldInvalid("feedback.competitor", f"at most {_LONGEST_NAME} printable signs")
    if price is not None and not (price.is_sound and price.minor_units >= 0):
        raise FieldInvalid("feedback.price", "an ISO 4217 code and zero or more of its minor unit")
    if len(verbatim) > _LONGEST_VERBATIM:
        raise FieldInvalid("feedback.verbatim", f"at most {_LONGEST_VERBATIM:,} signs")
