"""Sources are told what became of their leads, signed, once each, and nothing of the person."""

import json
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from sqlalchemy import Connection, select

from services.leads.store.schema import SCHEMA
from services.leads.store.write_back import forget_lead
from smarketing import wallclock
from smarketing.api.leads.v1 import identity_pb2 as identitypb
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1.identity_pb2_grpc import IdentityServiceStub
from tests.builders.webhooks import Receiver
from tests.contract.intake.gate import Gate, a_gate
from tests.contract.leads.office import ANNA, BEN, TENANT, a_submission, an_accept, reason_of


async def _told(gate: Gate, receiver: Receiver, system: str = "hubspot") -> intakepb.CreateWriteBackResponse:
    return await gate.stub.CreateWriteBack(
        intakepb.CreateWriteBackRequest(
            parent=TENANT,
            request_id=wallclock.new_uuid(),
            write_back=intakepb.WriteBack(source_system=system, url=receiver.url),
        ),
        metadata=gate.manager,
    )


async def _submitted(gate: Gate, number: int, system: str = "hubspot") -> leadspb.Handoff:
    request = leadspb.SubmitLeadRequest(
        parent=TENANT,
        request_id=wallclock.new_uuid(),
        submission=a_submission(number, source_system=system),
    )
    return (await gate.office.stub.SubmitLead(request, metadata=gate.manager)).handoff


async def _accepted(gate: Gate, handoff: leadspb.Handoff) -> leadspb.Handoff:
    owner = handoff.offer.assignee
    return await gate.office.stub.AcceptOffer(an_accept(handoff), metadata=gate.office.of(owner))


async def _send(gate: Gate) -> None:
    task = next(each for each in gate.office.leads.background if each.name == "write_back")
    await task.run.__self__.send_due()  # type: ignore[attr-defined]  # its object is the sender


def _lead(handoff: leadspb.Handoff) -> str:
    return handoff.name.partition("/handoffs/")[0]


def _data(received: Any, secret: str) -> dict[str, Any]:
    message = received.verified_with(secret)
    return {"type": message["type"], **message["data"]}


async def test_a_source_is_told_of_acceptance_and_recycling_and_of_nothing_personal(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate, Receiver() as receiver:
        registered = await _told(gate, receiver)
        handoff = await _accepted(gate, await _submitted(gate, 7))
        owner = gate.office.of(handoff.owner)
        until = wallclock.utc_now().replace(microsecond=0).replace(year=2028)
        request = leadspb.RecycleHandoffRequest(
            name=handoff.name, request_id=wallclock.new_uuid(), reason_code="NOT_NOW"
        )
        request.recycle_until_time.FromDatetime(until)
        await gate.office.stub.RecycleHandoff(request, metadata=owner)
        await _send(gate)

        accepted, recycled = (_data(each, registered.secret) for each in receiver.received)
        assert accepted["type"] == "handoff.accepted"
        assert (accepted["tenant"], accepted["source_system"]) == (TENANT, "hubspot")
        assert (accepted["external_id"], accepted["handoff"]) == ("form-7", handoff.name)
        assert (recycled["state"], recycled["reason_code"]) == ("recycled", "NOT_NOW")
        assert recycled["recycle_until_time"] == until.isoformat()
        assert all(b"kim7" not in each.body for each in receiver.received)
        assert all(b"Kim" not in each.body for each in receiver.received)


async def test_a_rejection_is_told_with_its_reason_and_whose_it_is(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate, Receiver() as receiver:
        registered = await _told(gate, receiver)
        handoff = await _submitted(gate, 1)
        await gate.office.stub.RejectOffer(
            leadspb.RejectOfferRequest(
                name=handoff.offer.name,
                request_id=wallclock.new_uuid(),
                fencing_token=handoff.offer.fencing_token,
                reason_code="DUPLICATE",
                evidence="crm-1",
            ),
            metadata=gate.office.of(handoff.offer.assignee),
        )
        await _send(gate)

        [rejected] = (_data(each, registered.secret) for each in receiver.received)
        assert (rejected["state"], rejected["reason_code"]) == ("rejected", "DUPLICATE")
        assert rejected["accountable_party"] in {"MARKETING", "SYSTEM"}


async def test_only_the_source_that_a_lead_came_from_is_told(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate, Receiver() as hubspot, Receiver() as mautic:
        await _told(gate, hubspot, "hubspot")
        await _told(gate, mautic, "mautic")
        await _accepted(gate, await _submitted(gate, 1, "mautic"))
        await _accepted(gate, await _submitted(gate, 2, "website"))
        await _send(gate)

        assert len(mautic.received) == 1
        assert hubspot.received == []


async def test_a_system_that_sent_the_same_lead_later_is_told_too_once_and_by_its_own_first_name_for_it(
    tmp_path: Path,
) -> None:
    async with a_gate(tmp_path) as gate, Receiver() as hubspot, Receiver() as mautic:
        first = await _told(gate, hubspot, "hubspot")
        second = await _told(gate, mautic, "mautic")
        handoff = await _submitted(gate, 1, "hubspot")
        for name in ("mautic-1", "mautic-2"):
            request = leadspb.SubmitLeadRequest(
                parent=TENANT,
                request_id=wallclock.new_uuid(),
                submission=a_submission(1, source_system="mautic", external_id=name),
            )
            joined = await gate.office.stub.SubmitLead(request, metadata=gate.manager)
            assert joined.outcome == leadspb.SubmitLeadResponse.OUTCOME_MATCHED
        await _accepted(gate, handoff)
        await _send(gate)

        told = [_data(each, first.secret) for each in hubspot.received]
        told += [_data(each, second.secret) for each in mautic.received]
        assert [(each["type"], each["source_system"], each["external_id"]) for each in told] == [
            ("handoff.accepted", "hubspot", "form-1"),
            ("handoff.accepted", "mautic", "mautic-1"),
        ]
        # Both may listen at one address, where a repeated id is passed over.
        assert hubspot.received[0].message_id != mautic.received[0].message_id


async def test_who_sent_a_lead_that_was_merged_is_told_what_became_of_the_one_that_goes_on(
    tmp_path: Path,
) -> None:
    async with a_gate(tmp_path) as gate, Receiver() as receiver:
        registered = await _told(gate, receiver, "marketo")
        kept, merged = await _submitted(gate, 1), await _submitted(gate, 2, "marketo")
        identities = IdentityServiceStub(gate.office.channel)
        merge = await identities.MergeLeads(
            identitypb.MergeLeadsRequest(
                name=_lead(kept), merged_lead=_lead(merged), request_id=wallclock.new_uuid()
            ),
            metadata=gate.manager,
        )
        accepted = await _accepted(gate, kept)
        await _send(gate)
        [told] = (_data(each, registered.secret) for each in receiver.received)

        assert merge.lead == _lead(kept)
        assert (told["type"], told["source_system"]) == ("handoff.accepted", "marketo")
        assert (told["external_id"], told["handoff"]) == ("form-2", accepted.name)


async def test_a_lead_that_was_taken_apart_again_is_told_of_by_itself(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate, Receiver() as receiver:
        await _told(gate, receiver, "marketo")
        kept, merged = await _submitted(gate, 1), await _submitted(gate, 2, "marketo")
        identities = IdentityServiceStub(gate.office.channel)
        await identities.MergeLeads(
            identitypb.MergeLeadsRequest(
                name=_lead(kept), merged_lead=_lead(merged), request_id=wallclock.new_uuid()
            ),
            metadata=gate.manager,
        )
        await identities.UnmergeLeads(
            identitypb.UnmergeLeadsRequest(name=_lead(merged), request_id=wallclock.new_uuid()),
            metadata=gate.manager,
        )
        await _accepted(gate, kept)
        await _send(gate)

        assert receiver.received == []


async def test_what_waits_and_what_was_sent_holds_no_id_of_the_senders_in_plain(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate, Receiver() as receiver:
        registered = await _told(gate, receiver)
        await _accepted(gate, await _submitted(gate, 7))

        def kept(connection: Connection) -> list[bytes]:
            return [
                bytes(row[0]) for row in connection.execute(select(SCHEMA.intake.delivery.message.c.payload))
            ]

        waiting = await gate.office.leads.store.read(kept)
        await _send(gate)
        sent = await gate.office.leads.store.read(kept)

        assert len(waiting) == len(sent) == 1
        assert all(b"form-7" not in each for each in (*waiting, *sent))
        assert [_data(each, registered.secret)["external_id"] for each in receiver.received] == ["form-7"]


async def test_what_was_given_up_is_sent_again_by_a_replay_under_the_same_id(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate, Receiver(answer=lambda _number: "410 Gone") as receiver:
        registered = await _told(gate, receiver)
        await _accepted(gate, await _submitted(gate, 1))
        await _send(gate)
        listed = await gate.stub.ListWriteBacks(
            intakepb.ListWriteBacksRequest(parent=TENANT), metadata=gate.manager
        )
        assert listed.write_backs[0].dead_letter_count == 1

        receiver.answer = lambda _number: "200 OK"
        replayed = await gate.stub.ReplayWriteBack(
            intakepb.ReplayWriteBackRequest(name=registered.write_back.name, request_id=wallclock.new_uuid()),
            metadata=gate.manager,
        )
        await _send(gate)

        assert replayed.replayed_count == 1
        assert receiver.received[0].message_id == receiver.received[1].message_id


async def test_a_private_address_is_told_nothing(tmp_path: Path) -> None:
    async with a_gate(tmp_path, webhook_loopback=False) as gate, Receiver() as receiver:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _told(gate, receiver)

        assert reason_of(refused.value)[1] == "WEBHOOK_ADDRESS_FORBIDDEN"


async def test_who_is_forgotten_is_in_no_message_that_is_kept(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate, Receiver() as receiver:
        await _told(gate, receiver)
        first = await _accepted(gate, await _submitted(gate, 1))
        await _accepted(gate, await _submitted(gate, 2))
        lead = first.name.split("/")[3]
        await gate.office.leads.store.sweep(lambda tx: forget_lead(tx._connection, "acme", lead))
        await _send(gate)

        assert [json.loads(each.body)["data"]["external_id"] for each in receiver.received] == ["form-2"]


async def test_the_secret_is_shown_once(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate, Receiver() as receiver:
        request = intakepb.CreateWriteBackRequest(
            parent=TENANT,
            request_id=wallclock.new_uuid(),
            write_back=intakepb.WriteBack(source_system="hubspot", url=receiver.url),
        )
        first = await gate.stub.CreateWriteBack(request, metadata=gate.manager)
        again = await gate.stub.CreateWriteBack(request, metadata=gate.manager)

        assert first.secret.startswith("whsec_")
        assert again == intakepb.CreateWriteBackResponse(write_back=first.write_back)


async def test_a_rep_connects_nothing(tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        for who in (ANNA, BEN):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await gate.stub.ListSources(
                    intakepb.ListSourcesRequest(parent=TENANT), metadata=gate.office.of(who)
                )
            assert reason_of(refused.value)[1] == "PERMISSION_DENIED"
