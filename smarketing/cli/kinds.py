"""One function for each kind of configuration document: what its fields are, and what message they make."""

import re
from collections.abc import Mapping
from typing import Final

from google.protobuf.message import Message

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.agreement_kind import agreement_of
from smarketing.cli.configuration import (
    Fields,
    Kind,
    Read,
    date_message_of,
)
from smarketing.cli.identity_kind import identity_of
from smarketing.cli.routing_kind import routing_of
from smarketing.mapping.yamltext import Element

__all__ = ["READERS"]

_ABILITIES = ("skills", "territories", "languages", "capacity")
_HEAD = ("kind", "tenant")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_is_window = re.compile(r"(\d{2}:\d{2}(?::\d{2})?)\s*-\s*(\d{2}:\d{2}(?::\d{2})?)").fullmatch


def _directory(element: Element, tenant: str) -> tuple[str, Message, str]:
    known = ("time_zone", "region_code", "currency_code", "teams", "people", "systems", "queues", "routing")
    fields = Fields(
        element, tenant, *_HEAD, *known, "identity", required=("time_zone", "currency_code", "routing")
    )
    routing, identity = fields.element("routing"), fields.element("identity")
    directory = directorypb.Directory(
        name=f"tenants/{tenant}/directory",
        time_zone=fields.text("time_zone"),
        region_code=fields.text("region_code"),
        currency_code=fields.text("currency_code"),
        teams=[_team(item, tenant) for item in fields.items("teams")],
        people=[_person(item, tenant) for item in fields.items("people")],
        systems=[_system(item, tenant) for item in fields.items("systems")],
        queues=[_queue(item, tenant) for item in fields.items("queues")],
        routing=None if routing is None else routing_of(routing, tenant),
        identity=None if identity is None else identity_of(identity, tenant),
    )
    return "", directory, ""


def _team(element: Element, tenant: str) -> directorypb.Team:
    known = ("id", "display_name", "party", "manager", "parent_team", *_ABILITIES)
    fields = Fields(element, tenant, *known, required=("id", "party"))
    return directorypb.Team(
        name=fields.name("id", "teams"),
        display_name=fields.text("display_name"),
        party=fields.word("party", termspb.Party.DESCRIPTOR),
        manager=fields.name("manager", "people"),
        parent_team=fields.name("parent_team", "teams"),
        skills=fields.texts("skills"),
        territories=fields.texts("territories"),
        languages=fields.texts("languages"),
        capacity=fields.whole("capacity"),
    )


def _person(element: Element, tenant: str) -> directorypb.Person:
    known = ("id", "display_name", "roles", "team", *_ABILITIES)
    fields = Fields(element, tenant, *known, required=("id", "roles"))
    return directorypb.Person(
        name=fields.name("id", "people"),
        display_name=fields.text("display_name"),
        roles=fields.words("roles", directorypb.Role.DESCRIPTOR),
        team=fields.name("team", "teams"),
        skills=fields.texts("skills"),
        territories=fields.texts("territories"),
        languages=fields.texts("languages"),
        capacity=fields.whole("capacity"),
    )


def _system(element: Element, tenant: str) -> directorypb.System:
    fields = Fields(element, tenant, "id", "display_name", "roles", "teams", required=("id", "roles"))
    return directorypb.System(
        name=fields.name("id", "systems"),
        display_name=fields.text("display_name"),
        roles=fields.words("roles", directorypb.Role.DESCRIPTOR),
        teams=fields.names("teams", "teams"),
    )


def _queue(element: Element, tenant: str) -> directorypb.Queue:
    fields = Fields(element, tenant, "id", "display_name", "team", "manager", required=("id", "team"))
    return directorypb.Queue(
        name=fields.name("id", "queues"),
        display_name=fields.text("display_name"),
        team=fields.name("team", "teams"),
        manager=fields.name("manager", "people"),
    )


def _calendar(element: Element, tenant: str) -> tuple[str, Message, str]:
    known = ("id", "title", "time_zone", "week", "overrides", "breaks", "holidays")
    fields = Fields(element, tenant, *_HEAD, *known, required=("id", "time_zone", "week"))
    week = fields.element("week")
    days = {} if week is None else week.fields(*_WEEKDAYS)
    version = slapb.CalendarVersion(
        title=fields.text("title"),
        time_zone=fields.text("time_zone"),
        weekly_windows=[
            _window(item, number)
            for number, day in enumerate(_WEEKDAYS, start=1)
            if day in days
            for item in days[day].items()
        ],
        overrides=[_day(item, tenant) for item in fields.items("overrides")],
        breaks=[_day(item, tenant) for item in fields.items("breaks")],
        holidays=[day for item in fields.items("holidays") if (day := item.parsed(date_message_of, None))],
    )
    return fields.own_id(), version, ""


def _day(element: Element, tenant: str) -> slapb.DayWindows:
    fields = Fields(element, tenant, "date", "windows", required=("date",))
    windows = [_window(item, 0) for item in fields.items("windows")]
    return slapb.DayWindows(date=fields.date("date"), windows=windows)


def _window(element: Element, iso_weekday: int) -> slapb.WeeklyWindow:
    open_time, close_time = element.parsed(_window_of, ("", ""))
    return slapb.WeeklyWindow(iso_weekday=iso_weekday, open_time=open_time, close_time=close_time)


def _window_of(text: str) -> tuple[str, str]:
    match = _is_window(text)
    if match is None:
        raise ValueError("is not a window such as 09:00-18:00")
    return match[1], match[2]


def _leave(element: Element, tenant: str) -> tuple[str, Message, str]:
    known = ("person", "start_time", "end_time")
    fields = Fields(element, tenant, *_HEAD, *known, required=known)
    leave = slapb.Leave(start_time=fields.instant("start_time"), end_time=fields.instant("end_time"))
    return fields.name("person", "people"), leave, ""


def _webhook_endpoint(element: Element, tenant: str) -> tuple[str, Message, str]:
    fields = Fields(element, tenant, *_HEAD, "url", "display_name", required=("url",))
    endpoint = slapb.WebhookEndpoint(url=fields.text("url"), display_name=fields.text("display_name"))
    return "", endpoint, ""


READERS: Final[Mapping[Kind, Read]] = {
    Kind.DIRECTORY: _directory,
    Kind.CALENDAR: _calendar,
    Kind.LEAVE: _leave,
    Kind.AGREEMENT: agreement_of,
    Kind.WEBHOOK_ENDPOINT: _webhook_endpoint,
}
"""The reader of each kind."""
