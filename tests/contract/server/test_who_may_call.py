"""Who is let in, and what the others learn: as little as possible."""

import grpc
import pytest

from smarketing.server.audit import AuditOutcome
from smarketing.server.auth import Directory
from smarketing.server.policy import Allow, PolicyMissing, check_policy
from tests.contract.server.echo import (
    ECHO_POLICY,
    SERVICE,
    TOKENS,
    EchoServicer,
    ReaderStyleEchoServicer,
    a_request,
    bearer,
    serving,
    told,
)

pytestmark = pytest.mark.usefixtures("each_engine")


@pytest.mark.parametrize("servicer", [EchoServicer, ReaderStyleEchoServicer])
async def test_a_proved_caller_with_a_role_is_answered_in_every_arity(servicer):
    async with serving(servicer()) as rig:
        assert await rig.all_four(a_request("hello")) == ["hello"] * 4


@pytest.mark.parametrize(
    ("metadata", "code", "reason"),
    [
        ((), grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING"),
        ((("authorization", "Basic bWluYQ=="),), grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID"),
        (bearer(secret="x" * 64), grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID"),
        (bearer("unknownunkno"), grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID"),
        (bearer("expiredexpir"), grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID"),
        (bearer("auditauditau"), grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"),
        (bearer("otherotherot"), grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"),
    ],
)
async def test_nobody_else_is_in_any_arity_and_each_denial_is_noted(metadata, code, reason):
    async with serving() as rig:
        refusals = [told(error) for error in await rig.all_four(a_request(), metadata=metadata)]

        assert [(refusal.code, refusal.reason, refusal.domain) for refusal in refusals] == [
            (code, reason, "smarketing")
        ] * 4
        # A call that the client made again, having made its outcome up, may be noted twice.
        assert {entry.outcome for entry in rig.denials} == {AuditOutcome.DENIED}
        assert 4 <= len(rig.denials) <= rig.attempts.total()
        assert (
            rig.telemetry.registry.get_sample_value("smarketing_server_auth_denied_total", {"reason": reason})
            == 4
        )


async def test_another_tenant_reads_exactly_as_a_missing_role():
    async with serving() as rig:
        without_role = await rig.all_four(a_request(), metadata=bearer("auditauditau"))
        of_another_tenant = await rig.all_four(a_request(), metadata=bearer("otherotherot"))

        assert [vars(told(error)) for error in without_role] == [
            vars(told(error)) for error in of_another_tenant
        ]


async def test_the_tenant_is_judged_before_anything_else_in_the_request():
    async with serving() as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say(a_request(request_id="", word="\x00"), metadata=bearer("otherotherot"))

        assert told(caught.value).reason == "PERMISSION_DENIED"


async def test_a_stream_may_not_turn_to_another_tenant_half_way():
    async with serving() as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.gather(iter([a_request(), a_request(name="tenants/other/leads/l1")]))

        assert told(caught.value).reason == "PERMISSION_DENIED"


async def test_a_peer_service_may_name_any_tenant():
    async with serving() as rig:
        request = a_request(name="tenants/other/leads/l1")

        assert (await rig.say(request, metadata=bearer("leadsleadsle"))).word == "hello"


async def test_a_tenants_own_caller_may_not_ask_for_all_tenants():
    async with serving() as rig:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say(a_request(name="tenants/-/leads/l1"))

        assert told(caught.value).reason == "PERMISSION_DENIED"


async def test_a_name_without_a_tenant_is_a_faulty_field():
    async with serving() as rig:
        refusals = [told(error) for error in await rig.all_four(a_request(name="leads/l1"))]
        refusals += [told(error) for error in await rig.all_four(a_request(name=""))]

        assert [(refusal.reason, refusal.fields) for refusal in refusals] == [("FIELD_INVALID", ["name"])] * 8


async def test_a_revoked_token_is_refused_from_the_next_call_on():
    async with serving() as rig:
        await rig.say()
        rig.authenticator.replace_directory(Directory(TOKENS[1:]))

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.say()

        assert told(caught.value).reason == "CREDENTIALS_INVALID"


async def test_a_service_that_has_not_read_the_directory_answers_nobody():
    async with serving(directory=None) as rig:
        refusals = [told(error) for error in await rig.all_four(a_request())]

        assert [(refusal.code, refusal.reason) for refusal in refusals] == [
            (grpc.StatusCode.UNAVAILABLE, "DIRECTORY_NOT_READY")
        ] * 4
        assert rig.denials == []


@pytest.mark.parametrize(
    ("token_id", "person", "reason"),
    [
        ("crmcrmcrmcrm", "tenants/default/people/mina", None),
        ("crmcrmcrmcrm", "tenants/default/people/nobody", "ON_BEHALF_OF_INVALID"),
        ("crmcrmcrmcrm", "tenants/default/people/ada", "ON_BEHALF_OF_INVALID"),
        ("crmcrmcrmcrm", "tenants/other/people/otto", "ON_BEHALF_OF_INVALID"),
        ("minaminamina", "tenants/default/people/ada", "ON_BEHALF_OF_INVALID"),
    ],
)
async def test_only_a_system_acts_for_a_person_and_only_for_one_of_its_teams(token_id, person, reason):
    metadata = (*bearer(token_id), ("smarketing-on-behalf-of", person))
    async with serving() as rig:
        try:
            await rig.say(metadata=metadata)
            refused_for = None
        except grpc.aio.AioRpcError as error:
            refused_for = told(error).reason

        assert refused_for == reason


def test_every_rpc_without_a_line_stops_the_start_and_so_does_a_line_without_an_rpc():
    policy = {
        method: line for method, line in ECHO_POLICY.items() if not method.endswith(("Say", "Talk"))
    } | {f"/{SERVICE}/Sing": Allow(*ECHO_POLICY[f"/{SERVICE}/Say"].roles)}

    with pytest.raises(PolicyMissing) as caught:
        check_policy(policy, [SERVICE])

    assert [fault.split(":")[0] for fault in caught.value.faults] == [
        f"/{SERVICE}/Say",
        f"/{SERVICE}/Talk",
        f"/{SERVICE}/Sing",
    ]


def test_a_line_without_roles_or_with_a_path_that_is_no_name_stops_the_start():
    role = next(iter(ECHO_POLICY[f"/{SERVICE}/Say"].roles))
    policy = {
        **ECHO_POLICY,
        f"/{SERVICE}/Say": Allow(),
        f"/{SERVICE}/Tell": Allow(role, tenant_from="lead.name"),
    }

    with pytest.raises(PolicyMissing) as caught:
        check_policy(policy, [SERVICE])

    assert [fault.split(":")[0] for fault in caught.value.faults] == [f"/{SERVICE}/Say", f"/{SERVICE}/Tell"]
