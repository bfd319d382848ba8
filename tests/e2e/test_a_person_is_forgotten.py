"""After an erasure no byte of the person is in any file, log, metric or page, and no report has changed.

Three real services on files. Personal data at rest is sealed, so looking for plain words proves only that
nothing leaks. What proves forgetting is the rest: the wrapped keys of the erased, taken from a backup made
before, are in no file any more, and with them the sealed copies are noise.
"""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import pytest
from google.protobuf.json_format import MessageToJson

from services.leads.store.sealing import Sealer
from services.leads.wire.leads import contact_from_bytes
from smarketing import wallclock
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.api.leads.v1 import work_pb2 as workpb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.client import LeadsClient, ReportsClient
from tests.builders.processes import Installation, an_installation, until
from tests.builders.thorough import takes_minutes
from tests.e2e.company import Company, settled_in

pytestmark = pytest.mark.timeout(180)

T = TypeVar("T")

TENANT: Final = "rights"
OTHERS: Final = 300
MARK: Final = "Zwqxv"
"""Begins every personal word of the people who are erased, and occurs nowhere else."""
KINDS: Final = ("won", "rejected", "disqualified", "recycled")


@dataclass
class Somebody:
    """A person whose every word can be recognised."""

    kind: str
    number: int
    handoff: leadspb.Handoff = field(default_factory=leadspb.Handoff)

    @property
    def email(self) -> str:
        return f"{MARK}-{self.kind}@example.com"

    @property
    def phone(self) -> str:
        return f"+49 30 88237{self.number}9164"

    @property
    def lead(self) -> str:
        return self.handoff.name.partition("/handoffs/")[0]

    def said(self, what: str) -> str:
        return f"{MARK}{what} of {self.kind}"

    def submission(self) -> leadspb.Submission:
        contact = leadspb.Contact(
            given_name=self.said("Given"),
            family_name=self.said("Family"),
            email=self.email,
            phone=self.phone,
            job_title=self.said("Title"),
            company=self.said("Company"),
            company_domain=f"{MARK.lower()}-{self.kind}.example",
            attributes={self.said("Key"): self.said("Value")},
        )
        return leadspb.Submission(
            source_system="website",
            # Some senders have no other id than the address.
            external_id=self.email,
            contact=contact,
            qualification=leadspb.Qualification(
                source="newsletter",
                landing_page=f"https://shop.example.com/?email={self.email}",
                segment="retail",
            ),
        )


@dataclass
class Office:
    """The clients with which the company's people and systems call."""

    company: Company
    website: LeadsClient
    rosa: LeadsClient
    mara: LeadsClient
    reports: ReportsClient

    async def take_in(self, submission: leadspb.Submission) -> leadspb.Handoff:
        request = leadspb.SubmitLeadRequest(parent=self.company.name, submission=submission)
        return (await self.website.submit_lead(request)).handoff

    async def accept(self, handoff: leadspb.Handoff) -> leadspb.Handoff:
        offer = handoff.offer
        request = leadspb.AcceptOfferRequest(name=offer.name, fencing_token=offer.fencing_token)
        return await self.rosa.accept_offer(request)

    async def erase(self, email: str) -> privacypb.Erasure:
        request = privacypb.EraseSubjectRequest(parent=self.company.name, email=email)
        [erasure] = (await self.mara.privacy.erase_subject(request)).erasures
        return erasure

    async def erasure_of(self, lead: str) -> privacypb.Erasure:
        request = privacypb.EraseSubjectRequest(parent=self.company.name, lead=lead)
        [erasure] = (await self.mara.privacy.erase_subject(request)).erasures
        return erasure

    async def close(self) -> None:
        for client in (self.website, self.rosa, self.mara, self.reports):
            await client.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Installation]:
    environ = {
        "SMARKETING_LOG_LEVEL": "DEBUG",
        "SMARKETING_ACCESS_LOG": "true",
        "SMARKETING_METRIC_TENANTS": TENANT,
        "SMARKETING_METRICS_INTERVAL": "1s",
    }
    with an_installation(tmp_path / "data", environ) as installation:
        yield installation


@pytest.fixture
async def office(running: Installation, tmp_path: Path) -> AsyncIterator[Office]:
    company = await settled_in(running, TENANT, tmp_path)
    opened = Office(
        company,
        website=LeadsClient(company.of("website")),
        rosa=LeadsClient(company.of("rosa")),
        mara=LeadsClient(company.of("mara")),
        reports=ReportsClient(company.of("mara")),
    )
    yield opened
    await opened.close()


async def test_after_an_erasure_nothing_of_the_person_is_left_and_no_report_has_changed(
    running: Installation, office: Office, tmp_path: Path
) -> None:
    people = [Somebody(kind, number) for number, kind in enumerate(KINDS)]
    await _load(office)
    for somebody in people:
        await _work(office, somebody)
    await until(lambda: _submitted(office), lambda found: found == OTHERS + len(people), seconds=60)
    reports = await _at_rest(lambda: _reports(office))
    counts = await _counts(running)
    backup = _backup(running.data_dir / "leads.db", tmp_path / "backup.db")
    keys = _wrapped_keys(backup, people)
    assert len(keys) == len(people)
    assert all(
        _found([running.data_dir / "leads.db", running.data_dir / "leads.db-wal"], [key]) for key in keys
    )

    for somebody in people:
        erasure = await office.erase(somebody.email)
        assert erasure.lead == somebody.lead
    for somebody in people:
        await until(
            partial(office.erasure_of, somebody.lead),
            lambda found: found.HasField("finish_time"),
            seconds=60,
        )

    words = [MARK, MARK.lower(), *(somebody.phone.replace(" ", "") for somebody in people)]
    words += [somebody.phone for somebody in people]
    # Nobody reads a word of them in the database alone, before and after: only the key is left to destroy.
    assert _found([backup], [word.encode() for word in words]) == []
    files = [path for path in running.data_dir.rglob("*") if path.is_file()]
    assert {"leads.db", "sla.db", "reports.db", "said.log"} <= {path.name for path in files}
    assert _found(files, [word.encode() for word in words]) == []
    assert _found(files, keys) == []
    shown = await _pages(running, office)
    assert [word for word in words if any(word in page for page in shown.values())] == []
    after = await _reports(office)
    for name, report in reports.items():
        assert after[name] == report
    assert await _counts(running) == counts


@takes_minutes
async def test_a_backup_made_before_is_sealed_and_says_with_the_key_alone_whom_it_holds(
    running: Installation, office: Office, tmp_path: Path
) -> None:
    somebody = Somebody("won", 1)
    somebody.handoff = await office.take_in(somebody.submission())
    await _consent(office, somebody)
    backup = _backup(running.data_dir / "leads.db", tmp_path / "backup.db")
    erasure = await office.erase(somebody.email)

    # Whoever has the file alone reads nothing.
    assert _found([backup], [MARK.encode(), MARK.lower().encode()]) == []
    # Whoever has the installation's key too reads the person: so it is said until when that may be.
    contact = _contact(backup, somebody, Sealer((running.data_dir / "master.key").read_bytes()))
    assert contact.email == somebody.email
    kept_seconds = erasure.backup_expire_time.seconds - erasure.erase_time.seconds
    assert kept_seconds == 30 * 86_400


@takes_minutes
async def test_a_database_restored_from_a_backup_forgets_again_whom_it_forgot(tmp_path: Path) -> None:
    somebody = Somebody("won", 1)
    data, folder = tmp_path / "data", tmp_path / "files"
    folder.mkdir()
    with an_installation(data) as running:
        company = await settled_in(running, TENANT, folder)
        async with LeadsClient(company.of("website")) as website, LeadsClient(company.of("mara")) as mara:
            submit = leadspb.SubmitLeadRequest(parent=company.name, submission=somebody.submission())
            somebody.handoff = (await website.submit_lead(submit)).handoff
            # Followers first: none may be ahead of what it follows.
            backups = [_backup(data / name, tmp_path / name) for name in ("reports.db", "sla.db", "leads.db")]
            erase = privacypb.EraseSubjectRequest(parent=company.name, lead=somebody.lead)
            await until(
                lambda: mara.privacy.erase_subject(erase),
                lambda found: found.erasures[0].HasField("finish_time"),
                seconds=60,
            )
        settings = company.of("mara")
    for backup in backups:
        for path in data.glob(f"{backup.name}*"):
            path.unlink()
        (data / backup.name).write_bytes(backup.read_bytes())
    with an_installation(data) as again:
        async with LeadsClient(again.settings(settings.token.reveal(), tenant=TENANT)) as mara:
            get = leadspb.GetLeadRequest(name=somebody.lead)
            lead = await mara.get_lead(get)
            assert lead.HasField("erase_time")
            assert not lead.HasField("contact")


async def test_an_erased_persons_open_handoff_is_void_and_was_submitted_all_the_same(office: Office) -> None:
    somebody = Somebody("won", 1)
    somebody.handoff = await office.take_in(somebody.submission())
    await until(lambda: _submitted(office), lambda found: found == 1, seconds=60)
    await office.erase(somebody.email)

    ended = await office.mara.get_handoff(leadspb.GetHandoffRequest(name=somebody.handoff.name))
    assert (ended.state, ended.reason_code) == (leadspb.Handoff.STATE_VOID, "ERASED")
    [row] = await until(lambda: _funnel(office), lambda found: found[0].void_count == 1, seconds=60)
    assert row.submitted_count == 1


async def _load(office: Office) -> None:
    """Take in other people, and change some: pages are split, rewritten and moved as in years of use."""
    submissions = [
        leadspb.Submission(
            source_system="website",
            external_id=f"web-{number}",
            contact=leadspb.Contact(given_name="Ada", email=f"ada{number}@example.com"),
            qualification=leadspb.Qualification(source="newsletter", segment="retail"),
        )
        for number in range(OTHERS)
    ]
    for submission in submissions:
        await office.take_in(submission)


async def _work(office: Office, somebody: Somebody) -> None:
    """Take the person in, come back with more of them, and bring their handoff to its end."""
    somebody.handoff = await office.take_in(somebody.submission())
    await _consent(office, somebody)
    offer = somebody.handoff.offer
    if somebody.kind == "rejected":
        await office.rosa.reject_offer(
            leadspb.RejectOfferRequest(
                name=offer.name,
                fencing_token=offer.fencing_token,
                reason_code="NO_BUYER",
                evidence=somebody.said("Evidence"),
            )
        )
        dispute = disputespb.DisputeRejectionRequest(
            name=somebody.handoff.name, evidence=somebody.said("Dispute")
        )
        await office.mara.disputes.dispute_rejection(dispute)
        return
    accepted = await office.accept(somebody.handoff)
    again = somebody.submission()
    again.external_id = f"{somebody.email}/2"
    again.contact.attributes[somebody.said("Second")] = somebody.said("Later")
    await office.take_in(again)
    call = leadspb.FollowUp(
        channel=termspb.FOLLOW_UP_CHANNEL_EMAIL, contact=True, external_id=f"{somebody.email}/mail"
    )
    await office.rosa.log_follow_up(leadspb.LogFollowUpRequest(parent=accepted.name, follow_up=call))
    await _answered(office, somebody, accepted.name)
    await _ended(office, somebody, accepted.name)


async def _answered(office: Office, somebody: Somebody, name: str) -> None:
    """Record what the person answered, and in which words."""
    reply = workpb.Reply(
        channel=termspb.FOLLOW_UP_CHANNEL_EMAIL, external_id=f"<{somebody.said('Reply')}@mail.example.com>"
    )
    await office.rosa.work.record_reply(workpb.RecordReplyRequest(parent=name, reply=reply))
    heard = workpb.Feedback(
        handoff=name,
        type=workpb.Feedback.TYPE_PRICE,
        theme="price",
        verbatim=somebody.said("Verbatim"),
    )
    await office.rosa.work.record_feedback(
        workpb.RecordFeedbackRequest(feedback=heard, parent=office.company.name)
    )


async def _consent(office: Office, somebody: Somebody) -> None:
    await office.mara.privacy.record_consent(
        privacypb.RecordConsentRequest(
            parent=somebody.lead,
            consent=privacypb.Consent(
                purpose="marketing_email",
                state=privacypb.Consent.STATE_GRANTED,
                lawful_basis=privacypb.LAWFUL_BASIS_CONSENT,
                source="webinar-form",
                note=somebody.said("Consent"),
            ),
        )
    )


async def _ended(office: Office, somebody: Somebody, name: str) -> None:
    if somebody.kind == "disqualified":
        await office.rosa.disqualify_handoff(
            leadspb.DisqualifyHandoffRequest(
                name=name, reason_code="NO_NEED", evidence=somebody.said("Evidence")
            )
        )
    elif somebody.kind == "recycled":
        later = leadspb.RecycleHandoffRequest(name=name, reason_code="NOT_NOW")
        later.recycle_until_time.GetCurrentTime()
        later.recycle_until_time.seconds += 86_400
        await office.rosa.recycle_handoff(later)
    else:
        amount = termspb.Money(currency_code="EUR", minor_units=120_000)
        opportunity = await office.rosa.convert_handoff(
            leadspb.ConvertHandoffRequest(name=name, amount=amount)
        )
        proposal = workpb.RecordMilestoneRequest(
            name=opportunity.name,
            kind=workpb.OpportunityChange.KIND_PROPOSAL_SENT,
            external_id=f"proposals/{somebody.said('Proposal')}.pdf",
        )
        await office.rosa.work.record_milestone(proposal)
        await office.rosa.close_opportunity(
            leadspb.CloseOpportunityRequest(name=opportunity.name, state=leadspb.Opportunity.STATE_WON)
        )


async def _funnel(office: Office) -> Any:
    return (await office.reports.get_funnel(reportspb.GetFunnelRequest(parent=office.company.name))).rows


async def _submitted(office: Office) -> int:
    return sum(row.submitted_count for row in await _funnel(office))


async def _reports(office: Office) -> dict[str, list[str]]:
    """Return every report without the instant at which it was made."""
    parent, ask = office.company.name, office.reports
    found: dict[str, Any] = {
        "scorecard": await ask.get_scorecard(reportspb.GetScorecardRequest(parent=parent)),
        "funnel": await ask.get_funnel(reportspb.GetFunnelRequest(parent=parent)),
        "compliance": await ask.get_compliance(reportspb.GetComplianceRequest(parent=parent)),
        "response": await ask.get_response_times(reportspb.GetResponseTimesRequest(parent=parent)),
    }
    for message in found.values():
        message.ClearField("as_of")
    return {name: MessageToJson(message).splitlines() for name, message in found.items()}


async def _pages(running: Installation, office: Office) -> dict[str, str]:
    """Return the metrics of all three services, and the dashboard as the marketing manager sees it."""
    shown: dict[str, str] = {}
    async with httpx.AsyncClient(follow_redirects=True, timeout=30) as browser:
        for service, addresses in running.addresses.items():
            address = f"http://{addresses['http']}"
            shown[f"{service} metrics"] = (await browser.get(f"{address}/metrics")).text
        page = f"http://{running.addresses['reports']['http']}"
        answer = await browser.post(
            f"{page}/sign-in", data={"token": office.company.tokens["mara"]}, headers={"origin": page}
        )
        assert answer.status_code == 200
        for period in ("all", "this-month", "last-30-days"):
            shown[period] = (await browser.get(f"{page}/", params={"period": period})).text
    return shown


async def _counts(running: Installation) -> list[str]:
    """Return what the metrics count of handoffs, read from now on; not ages and instants, which go on."""
    since = wallclock.utc_now().timestamp()
    leads = running.addresses["leads"]["http"]

    async def read_anew() -> bool:
        page = await _scraped(leads)
        read = next((line for line in page.splitlines() if line.startswith(_READ)), f"{_READ} 0")
        return float(read.rpartition(" ")[2]) > since

    await until(read_anew, bool, seconds=60)
    pages = [await _scraped(addresses["http"]) for addresses in running.addresses.values()]
    counted = ("smarketing_leads_handoffs", "smarketing_leads_submissions")
    return sorted(line for page in pages for line in page.splitlines() if line.startswith(counted))


_READ: Final = 'smarketing_server_task_last_success_timestamp_seconds{task="metrics"}'


async def _scraped(address: str) -> str:
    async with httpx.AsyncClient(timeout=30) as browser:
        return (await browser.get(f"http://{address}/metrics")).text


async def _at_rest(read: Callable[[], Awaitable[T]]) -> T:
    """Return what is read once it has been the same for three seconds: services follow one another."""
    last: list[tuple[T, float]] = []

    async def once() -> bool:
        found = await read()
        if not last or last[-1][0] != found:
            last.append((found, wallclock.monotonic()))
        return wallclock.monotonic() - last[-1][1] > 3

    await until(once, bool, seconds=60)
    return last[-1][0]


def _backup(source: Path, target: Path) -> Path:
    """Copy the database as an operator would, while it is in use."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
    return target


def _rows(backup: Path, people: Iterable[Somebody]) -> list[tuple[bytes, bytes]]:
    with closing(sqlite3.connect(backup)) as connection:
        return [
            connection.execute(
                "SELECT wrapped_key, sealed_contact FROM lead_person WHERE tenant = ? AND lead = ?",
                (TENANT, somebody.lead.rpartition("/")[2]),
            ).fetchone()
            for somebody in people
        ]


def _wrapped_keys(backup: Path, people: Iterable[Somebody]) -> list[bytes]:
    # Without its first byte, which says which of the installation's keys wrapped it.
    return [wrapped[1:] for wrapped, _ in _rows(backup, people)]


def _contact(backup: Path, somebody: Somebody, sealer: Sealer) -> Any:
    [(wrapped, sealed)] = _rows(backup, [somebody])
    bound_to = f"{TENANT}/{somebody.lead.rpartition('/')[2]}"
    return contact_from_bytes(sealer.unseal(wrapped, sealed, bound_to=bound_to))


def _found(files: Iterable[Path], words: Iterable[bytes]) -> list[tuple[str, bytes]]:
    wanted = list(words)
    found = []
    for path in files:
        content = path.read_bytes() if path.exists() else b""
        found += [(path.name, word) for word in wanted if word in content]
    return found
