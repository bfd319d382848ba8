"""What ours is measured beside: a server that does nothing, and one written the naive way.

`echo` answers at once and keeps nothing: the floor that gRPC in Python sets.
`naive` is what a first version often looks like: an ORM session, and a transaction of its own
for every call, on a pool of connections, to a file of SQLite or to the PostgreSQL that `--database` names.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import grpc.aio
from sqlalchemy import Engine, ForeignKey, create_engine, event, make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import leads_pb2_grpc
from smarketing.sql.engine import sqlite_driver
from smarketing.wallclock import new_id, utc_now

_CONNECTIONS: Final = 16

_Context = grpc.aio.ServicerContext[leadspb.SubmitLeadRequest, leadspb.SubmitLeadResponse]


class Echo(leads_pb2_grpc.LeadServiceServicer):
    """Answers without doing anything."""

    async def SubmitLead(  # noqa: N802 -- the generated name
        self,
        request: leadspb.SubmitLeadRequest,
        context: _Context,  # noqa: ARG002 -- the generated signature
    ) -> leadspb.SubmitLeadResponse:
        handoff = leadspb.Handoff(name=f"{request.parent}/leads/1/handoffs/1")
        return leadspb.SubmitLeadResponse(outcome=leadspb.SubmitLeadResponse.OUTCOME_CREATED, handoff=handoff)

    async def SubmitLeads(  # noqa: N802 -- the generated name
        self,
        request_iterator: AsyncIterator[leadspb.SubmitLeadsRequest],
        context: grpc.aio.ServicerContext[leadspb.SubmitLeadsRequest, leadspb.SubmitLeadsResponse],  # noqa: ARG002
    ) -> AsyncIterator[leadspb.SubmitLeadsResponse]:
        async for request in request_iterator:
            results = [
                leadspb.SubmitLeadsResult(
                    outcome=leadspb.SubmitLeadResponse.OUTCOME_CREATED,
                    handoff=f"{request.parent}/leads/1/handoffs/1",
                )
                for _ in request.submissions
            ]
            yield leadspb.SubmitLeadsResponse(request_id=request.request_id, results=results)


class _Base(DeclarativeBase):
    pass


class _Lead(_Base):
    __tablename__ = "lead"
    id: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    company: Mapped[str]
    create_time: Mapped[datetime]


class _Handoff(_Base):
    __tablename__ = "handoff"
    id: Mapped[str] = mapped_column(primary_key=True)
    lead_id: Mapped[str] = mapped_column(ForeignKey("lead.id"))
    state: Mapped[str]
    source: Mapped[str]
    score: Mapped[int]
    create_time: Mapped[datetime]


class _Event(_Base):
    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    payload: Mapped[bytes]
    record_time: Mapped[datetime]


class Naive(Echo):
    """One ORM session and one transaction a lead."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _Base.metadata.create_all(self._engine)

    async def SubmitLead(  # noqa: N802 -- the generated name
        self, request: leadspb.SubmitLeadRequest, context: _Context
    ) -> leadspb.SubmitLeadResponse:
        """Keep a lead, its handoff and an event."""
        await asyncio.to_thread(self.insert, request.submission, request.SerializeToString())
        return await super().SubmitLead(request, context)

    async def SubmitLeads(  # noqa: N802 -- the generated name
        self,
        request_iterator: AsyncIterator[leadspb.SubmitLeadsRequest],
        context: grpc.aio.ServicerContext[leadspb.SubmitLeadsRequest, leadspb.SubmitLeadsResponse],  # noqa: ARG002
    ) -> AsyncIterator[leadspb.SubmitLeadsResponse]:
        async for request in request_iterator:
            for submission in request.submissions:
                await asyncio.to_thread(self.insert, submission, submission.SerializeToString())
            results = [leadspb.SubmitLeadsResult() for _ in request.submissions]
            yield leadspb.SubmitLeadsResponse(request_id=request.request_id, results=results)

    def insert(self, submission: leadspb.Submission, payload: bytes) -> None:
        """Keep a lead unless it is there."""
        now = utc_now().astimezone(UTC).replace(tzinfo=None)
        with Session(self._engine) as session, session.begin():
            known = session.query(_Lead).filter_by(external_id=submission.external_id).one_or_none()
            if known is not None:
                return
            lead = _Lead(
                id=new_id(),
                external_id=submission.external_id,
                email=submission.contact.email,
                name=submission.contact.family_name,
                company=submission.contact.company,
                create_time=now,
            )
            session.add(lead)
            session.flush()
            handoff = _Handoff(
                id=new_id(),
                lead_id=lead.id,
                state="SUBMITTED",
                source=submission.qualification.source,
                score=submission.qualification.score,
                create_time=now,
            )
            session.add(handoff)
            session.add(_Event(subject=lead.id, kind="submitted", payload=payload, record_time=now))


def _on_file(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{path}",
        module=sqlite_driver(),
        connect_args={"timeout": 30, "check_same_thread": False},
    )
    event.listen(engine, "connect", _durable)
    return engine


def on_server(url: str) -> Engine:
    """Return the naive server's connections to a PostgreSQL."""
    driver = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(driver, pool_size=_CONNECTIONS, max_overflow=0)


def _durable(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # a DB-API connection has no common type
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


async def _serve(kind: str, data: Path, database: str) -> None:
    server = grpc.aio.server()
    servicer = Echo()
    if kind == "naive":
        servicer = Naive(on_server(database) if database else _on_file(data / "naive.db"))
    if database:
        # A thread for each connection, so that neither waits for the other.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_CONNECTIONS))
    leads_pb2_grpc.add_LeadServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    await server.stop(1)


def main() -> int:
    """Serve until SIGTERM; the first line printed is the port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("echo", "naive"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--database", default="", help="URL of PostgreSQL; without it a file")
    given = parser.parse_args()
    asyncio.run(_serve(given.kind, given.data, given.database))
    return 0


if __name__ == "__main__":
    sys.exit(main())
