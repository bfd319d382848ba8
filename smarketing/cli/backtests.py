"""`smarketing sla backtest | forecast`: what would have been under other terms, and what a day may bring."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Group, RenderableType

from smarketing.api.sla.v1 import backtest_pb2 as backtestpb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.cli.configuration import Document, Kind, read_documents
from smarketing.cli.documents import document_of
from smarketing.cli.kinds import READERS
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit, date_message, timestamp_of
from smarketing.cli.output import id_of, span, table, when
from smarketing.cli.session import Session, session_of
from smarketing.cli.views import short
from smarketing.client import SlaClient
from smarketing.mapping.texts import enum_word

__all__ = ["register"]

_LARGEST_PAGE = 1_000
_DOUBTS = {
    backtestpb.BACKTEST_DOUBT_TAKEOVER_LEFT_OUT: "the handoff was taken over then and would not be now",
    backtestpb.BACKTEST_DOUBT_TAKEOVER_ADDED: "the handoff would be taken over now and was not then",
    backtestpb.BACKTEST_DOUBT_OWNER_ABSENT: "its owner is supposed to have been away",
    backtestpb.BACKTEST_DOUBT_TEAM_REINFORCED: "somebody more is supposed to have been there",
}
_SILENCES = {
    backtestpb.BreachForecast.SILENCE_TOO_FEW_WEEKS: "too few weeks of history",
    backtestpb.BreachForecast.SILENCE_TOO_FEW_CLOCKS: "too few clocks settled",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    app.command("backtest")(backtest)
    app.command("forecast")(forecast)


def backtest(
    ctx: typer.Context,
    *,
    agreement: Annotated[
        str, typer.Option(help="A YAML file, AGREEMENT/versions/VERSION, or AGREEMENT for its newest.")
    ] = "",
    calendar: Annotated[
        str, typer.Option(help="A YAML file, CALENDAR/versions/VERSION, or CALENDAR for its newest.")
    ] = "",
    team_calendar: Annotated[
        list[str] | None, typer.Option(help="TEAM=CALENDAR/versions/VERSION; may be repeated.")
    ] = None,
    absent: Annotated[
        list[str] | None, typer.Option(help="'PERSON FROM TO': was away; may be repeated.")
    ] = None,
    present: Annotated[
        list[str] | None, typer.Option(help="'TEAM FROM TO': had somebody more; may be repeated.")
    ] = None,
    start: Annotated[str, typer.Option("--from", help="Handoffs submitted from this instant on.")] = "",
    end: Annotated[str, typer.Option("--to", help="Handoffs submitted before this instant.")] = "",
    limit: Limit = 50,
) -> None:
    """Show what became of recorded handoffs beside what other terms would have made of them."""
    session = session_of(ctx)
    request = backtestpb.BacktestAgreementRequest(
        parent=session.parent,
        team_calendars=[_team_calendar(session, each) for each in team_calendar or []],
        staffing=[
            *(_staffing(session, each, backtestpb.SupposedStaffing.PRESENCE_ABSENT) for each in absent or []),
            *(
                _staffing(session, each, backtestpb.SupposedStaffing.PRESENCE_PRESENT)
                for each in present or []
            ),
        ],
        start_time=timestamp_of(start),
        end_time=timestamp_of(end),
        page_size=min(limit, _LARGEST_PAGE),
    )
    question = _Question(session, request, agreement, calendar, limit)
    with session.err.status("Living through it once more …") if session.err.is_terminal else nullcontext():
        found = session.ask(SlaClient, question.asked)
    if session.wants_json:
        session.show_document(
            {
                "backtest": document_of(found.result),
                "differences": [document_of(each) for each in found.differences],
                "more": found.more,
            }
        )
        return
    session.out.print(_view(found))
    _notes(session, found)


def forecast(
    ctx: typer.Context,
    *,
    date: Annotated[str, typer.Option(help="The day: 2026-11-23; tomorrow when left out.")] = "",
    commitment: Annotated[str, typer.Option(help="Only of this commitment.")] = "",
) -> None:
    """Show how many clocks may fall due and be missed on a day: intervals, or why there are none."""
    session = session_of(ctx)
    request = backtestpb.ForecastBreachesRequest(
        parent=session.parent, date=date_message(date), commitment_id=commitment
    )
    found = session.ask(SlaClient, lambda sla: sla.backtests.forecast_breaches(request))
    session.show(found, lambda: _forecast_view(found))


class _Found:
    """What a back-test brought."""

    def __init__(self) -> None:
        self.result = backtestpb.Backtest()
        self.differences: list[backtestpb.BacktestDifference] = []
        self.more = False


class _Question:
    """The request, completed by what its files and names mean."""

    def __init__(
        self,
        session: Session,
        request: backtestpb.BacktestAgreementRequest,
        agreement: str,
        calendar: str,
        limit: int,
    ) -> None:
        self._session = session
        self._request = request
        self._limit = limit
        self._calendar_name, self._calendar = _name_or_file(session, calendar, Kind.CALENDAR)
        self._agreement_name, self._agreement = _name_or_file(session, agreement, Kind.AGREEMENT)

    async def asked(self, sla: SlaClient) -> _Found:
        """Return what the service finds, over as many pages as are wanted."""
        await self._complete(sla)
        found = _Found()
        while True:
            token = ""
            async for response in sla.backtests.backtest(self._request):
                found.differences += response.differences
                token = response.next_page_token
                if response.HasField("backtest"):
                    found.result.CopyFrom(response.backtest)
            found.more = bool(token)
            if not token or len(found.differences) >= self._limit:
                found.differences = found.differences[: self._limit]
                return found
            self._request.page_token = token

    async def _complete(self, sla: SlaClient) -> None:
        request = self._request
        if self._calendar is not None:
            request.supposed_calendar.CopyFrom(cast("slapb.CalendarVersion", self._calendar.message))
        elif self._calendar_name:
            request.calendar_version = await _version_of_calendar(sla, self._calendar_name)
        if self._agreement is not None:
            terms = request.agreement_version
            terms.CopyFrom(cast("slapb.AgreementVersion", self._agreement.message))
            terms.calendar_version = await _version_of_calendar(
                sla, self._session.name("calendars", self._agreement.calendar)
            )
            request.agreement = self._session.name("agreements", self._agreement.own_id)
        elif self._agreement_name:
            request.version = await _version_of_agreement(sla, self._agreement_name)


def _name_or_file(session: Session, given: str, kind: Kind) -> tuple[str, Document | None]:
    """Return the resource's name, or the one document of its kind in a file."""
    if not given:
        return "", None
    path = Path(given)
    if not path.is_file():
        if path.suffix in {".yaml", ".yml"}:
            raise typer.BadParameter(f"there is no file {given!r}")
        return session.name(f"{kind.lower()}s", given), None
    found = [each for each in read_documents([path], session.settings.tenant, READERS) if each.kind is kind]
    if len(found) != 1:
        raise typer.BadParameter(f"{given!r} holds {len(found)} documents of kind {kind}, not one")
    return "", found[0]


async def _version_of_agreement(sla: SlaClient, name: str) -> str:
    if "/versions/" in name:
        return name
    listed = sla.agreement_versions(slapb.ListAgreementVersionsRequest(parent=name, page_size=1))
    versions, _ = await taken(listed, 1)
    return versions[0].name if versions else f"{name}/versions/1"


async def _version_of_calendar(sla: SlaClient, name: str) -> str:
    if "/versions/" in name:
        return name
    listed = sla.calendar_versions(slapb.ListCalendarVersionsRequest(parent=name, page_size=1))
    versions, _ = await taken(listed, 1)
    return versions[0].name if versions else f"{name}/versions/1"


def _team_calendar(session: Session, text: str) -> backtestpb.SupposedTeamCalendar:
    team, sign, version = text.partition("=")
    if not sign:
        raise typer.BadParameter(f"{text!r} is not TEAM=CALENDAR/versions/VERSION")
    return backtestpb.SupposedTeamCalendar(
        team=session.name("teams", team), calendar_version=session.name("calendars", version)
    )


def _staffing(session: Session, text: str, presence: Any) -> backtestpb.SupposedStaffing:
    parts = text.split()
    if len(parts) != 3:
        raise typer.BadParameter(f"{text!r} is not a name and two instants")
    holder, start, end = parts
    is_absent = presence == backtestpb.SupposedStaffing.PRESENCE_ABSENT
    return backtestpb.SupposedStaffing(
        presence=presence,
        holder=session.name("people" if is_absent else "teams", holder),
        start_time=timestamp_of(start),
        end_time=timestamp_of(end),
    )


def _view(found: _Found) -> RenderableType:
    result = found.result
    first = when(result.start_time) or "the first"
    title = (
        f"{result.handoff_count} handoffs submitted from {first} to {when(result.end_time)}, "
        f"as of {when(result.as_of_time)}"
    )
    return Group(
        title,
        _comparisons("commitment", [*result.commitments, result.total]),
        _comparisons("team", result.teams),
        _comparisons("owner", result.owners),
        _differences(found.differences),
    )


def _comparisons(what: str, rows: Sequence[backtestpb.BacktestComparison]) -> RenderableType:
    columns = (
        what,
        "clocks",
        "would",
        "met",
        "would",
        "missed",
        "would",
        "excused",
        "would",
        "warned",
        "would",
        "taken over",
        "would",
    )
    return table(columns, [_row(each, all_=what == "commitment" and not each.key) for each in rows])


def _row(each: backtestpb.BacktestComparison, *, all_: bool) -> tuple[str, ...]:
    was, would = each.happened, each.would
    return (
        "all" if all_ else id_of(each.key) or "nobody",
        str(was.clock_count),
        str(would.clock_count),
        str(was.met_count),
        _range(would.met_low_count, would.met_high_count),
        str(was.breached_count),
        _range(would.breached_low_count, would.breached_high_count),
        str(was.excused_count),
        str(would.excused_count),
        str(was.warned_count),
        str(would.warned_count),
        str(was.taken_over_count),
        str(would.taken_over_count),
    )


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _differences(differences: Sequence[backtestpb.BacktestDifference]) -> RenderableType:
    rows = [
        (
            short(each.handoff),
            each.commitment_id,
            *_fate(each.happened if each.HasField("happened") else None),
            *_fate(each.would if each.HasField("would") else None),
            id_of(each.would.owner or each.happened.owner),
        )
        for each in differences
    ]
    columns = ("handoff", "commitment", "happened", "due", "would", "due", "owner")
    return table(columns, rows, title="What differs")


def _fate(fate: backtestpb.BacktestFate | None) -> tuple[str, str]:
    if fate is None:
        return "no clock", ""
    words = [enum_word(slapb.Clock.State.DESCRIPTOR, fate.state)]
    words += ["warned"] * fate.warned + ["taken over"] * fate.taken_over
    words += ["or not, nobody knows"] * bool(fate.doubts)
    return ", ".join(words), when(fate.due_time)


def _notes(session: Session, found: _Found) -> None:
    result = found.result
    for doubt in result.total.would.doubts:
        session.note(f"Of {doubt.clock_count} clocks nobody can know: {_DOUBTS.get(doubt.doubt, 'unknown')}.")
    if result.unreproduced_handoff_count:
        session.note(
            f"{result.unreproduced_handoff_count} handoffs did not come out as recorded under the terms that "
            "were in force; trust the comparison as little."
        )
    if result.undecided_handoff_count:
        session.note(f"{result.undecided_handoff_count} handoffs could not be decided; they are left out.")
    if found.more:
        session.note(f"{result.difference_count} clocks differ; raise --limit to see more of them.")


def _forecast_view(found: backtestpb.ForecastBreachesResponse) -> RenderableType:
    day = found.date
    columns = (
        "commitment",
        "due, 80 in 100",
        "missed, 50 in 100",
        "missed, 80 in 100",
        "due by now",
        "people",
    )
    return table(
        columns,
        [_forecast_row(each) for each in found.forecasts],
        title=f"What {day.year:04}-{day.month:02}-{day.day:02} may bring",
    )


def _forecast_row(each: backtestpb.BreachForecast) -> tuple[str, ...]:
    if each.silence:
        known = f"{each.history_week_count} weeks, {each.settled_count} clocks"
        return each.commitment_id, f"{_SILENCES.get(each.silence, 'nothing')} ({known})", "", "", "", ""
    due, missed = each.due, each.breaches
    return (
        each.commitment_id,
        _range(due.p10_count, due.p90_count),
        _range(missed.p25_count, missed.p75_count),
        _range(missed.p10_count, missed.p90_count),
        str(each.known_due_count),
        span(each.available_duration) + ("" if each.availability_counts else ", not counted"),
    )
