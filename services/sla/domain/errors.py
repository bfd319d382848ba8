"""Why an agreement says no.

AgreementError
└── BadAgreement    a commitment, rung or target that cannot be measured; names the field
"""


class AgreementError(Exception):
    """An agreement that cannot be used."""


class BadAgreement(AgreementError):
    """A part of an agreement that cannot be measured as it is written; `field` is its path."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason
