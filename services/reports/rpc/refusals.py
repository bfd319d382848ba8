"""The one table: what reports refuses → code, reason and metadata."""

from datetime import timedelta

import grpc

from services.reports.domain.errors import (
    AsOfBusy,
    AsOfInvalid,
    AsOfOutOfReach,
    BasisRequired,
    DimensionUnsupported,
    KpiUnknown,
    LogUnreachable,
    PeriodInvalid,
)
from smarketing.server.errors import FieldViolation, Refusal, field_invalid
from smarketing.server.refusals import library_refusal_of

__all__ = ["refusal_of"]


def refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal of an error; None for one that is nobody's answer."""
    match error:
        case KpiUnknown(kpi_id=kpi_id):
            return Refusal(
                grpc.StatusCode.NOT_FOUND,
                "KPI_UNKNOWN",
                f"There is no figure {kpi_id}; ListKpis names all.",
                {"kpi_id": kpi_id},
            )
        case DimensionUnsupported(subject=subject, dimension=dimension):
            return Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                "DIMENSION_UNSUPPORTED",
                f"Group {subject} by something other than {dimension}, and by each only once.",
                {"subject": subject, "dimension": dimension},
                field_violations=[FieldViolation("group_by", "dimensions that this figure has, each once")],
            )
        case PeriodInvalid():
            return field_invalid("period", "two dates, the end after the start", reason="PERIOD_INVALID")
        case BasisRequired(kpi_id=kpi_id):
            return Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                "BASIS_REQUIRED",
                f"Say on which basis {kpi_id} is wanted: COHORT or EVENT.",
                {"kpi_id": kpi_id},
                field_violations=[FieldViolation("basis", "COHORT or EVENT")],
            )
        case _:
            return _refusal_of_past(error)


def _refusal_of_past(error: BaseException) -> Refusal | None:
    """Return the refusal of a past state that cannot be answered from."""
    match error:
        case AsOfInvalid(field=field, wanted=wanted):
            return field_invalid(field, wanted)
        case AsOfOutOfReach(field=field, wanted=wanted):
            return field_invalid(field, wanted, reason="AS_OF_OUT_OF_REACH")
        case AsOfBusy():
            return Refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "AS_OF_BUSY",
                "Many past states are being made; ask again in a minute.",
                {},
                retry_delay=timedelta(minutes=1),
            )
        case LogUnreachable(service=service):
            return Refusal(
                grpc.StatusCode.UNAVAILABLE,
                "LOG_UNREACHABLE",
                f"The log of {service} cannot be read at present; ask again soon.",
                {"service": service},
                retry_delay=timedelta(seconds=5),
            )
        case _:
            return library_refusal_of(error)
