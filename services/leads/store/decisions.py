"""A routing decision's reasons as one short text, beside the version and rule of the same row."""

from typing import Final

from services.leads.domain.routing import Decision, Ground, PassedOver, Reason

__all__ = ["decision_of", "reasons_text"]

_GROUND: Final = "ground="
_CANDIDATES: Final = "candidates="
_ACCOUNT_OWNER: Final = "account_owner="


def reasons_text(decision: Decision) -> str:
    """Return ground, candidates, account owner and who was passed over, in words with spaces between."""
    if decision.ground is Ground.NONE:
        return ""
    words = [_GROUND + decision.ground]
    if decision.candidates:
        words.append(_CANDIDATES + decision.candidates)
    if decision.account_owner:
        words.append(_ACCOUNT_OWNER + decision.account_owner)
    words += [f"{other.person}={other.reason}" for other in decision.passed_over]
    return " ".join(words)


def decision_of(version: int, rule_id: str, text: str) -> Decision:
    """Return the decision that was kept."""
    told: dict[str, str] = {}
    passed_over: list[PassedOver] = []
    for entry in text.split():
        name, _, value = entry.rpartition("=")
        if "/" in name:
            passed_over.append(PassedOver(name, Reason(value)))
        else:
            told[f"{name}="] = value
    return Decision(
        version,
        rule_id,
        tuple(passed_over),
        told.get(_CANDIDATES, ""),
        Ground(told.get(_GROUND, "")),
        told.get(_ACCOUNT_OWNER, ""),
    )
