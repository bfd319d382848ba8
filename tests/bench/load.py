"""A closed loop of unary calls or a stream of batches, run in a process of its own.

Requests are built and serialized before the clock starts, so the loader's share of the
machine is as small as a Python client's can be, and the same for every server measured.
"""

import argparse
import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

import grpc
import grpc.aio

from tests.bench.requests import batch_requests, unary_requests

_SERVICE = "/smarketing.api.leads.v1.LeadService"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of the loader saw."""

    items: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def per_second(self) -> float:
        return self.items / self.seconds


async def run_unary(
    target: str, token: str, requests: list[bytes], in_flight: int, limit_seconds: float
) -> Load:
    """Keep `in_flight` calls going until the requests or the time are used up."""
    latencies: list[float] = []
    errors = 0
    metadata = (("authorization", f"Bearer {token}"),) if token else None
    async with grpc.aio.insecure_channel(target) as channel:
        call = channel.unary_unary(f"{_SERVICE}/SubmitLead")
        await channel.channel_ready()
        pending = iter(requests)
        began = time.perf_counter()

        async def worker() -> None:
            nonlocal errors
            for request in pending:
                sent = time.perf_counter()
                if sent - began > limit_seconds:
                    return
                try:
                    await call(request, metadata=metadata, timeout=30)
                except grpc.aio.AioRpcError as error:
                    errors += 1
                    if errors == 1:
                        print(error.code(), error.details(), file=sys.stderr)
                else:
                    latencies.append(time.perf_counter() - sent)

        await asyncio.gather(*(worker() for _ in range(in_flight)))
        seconds = time.perf_counter() - began
    return _load(latencies, len(latencies), seconds, errors)


async def run_stream(target: str, token: str, requests: list[bytes], size: int, count: int) -> Load:
    """Send every batch on one stream, at most four unanswered, and wait for the last answer."""
    latencies: list[float] = []
    metadata = (("authorization", f"Bearer {token}"),) if token else None
    async with grpc.aio.insecure_channel(target) as channel:
        await channel.channel_ready()
        call = channel.stream_stream(f"{_SERVICE}/SubmitLeads")(metadata=metadata)
        began = time.perf_counter()
        sent: list[float] = []
        window = asyncio.Semaphore(4)

        async def send() -> None:
            for request in requests:
                await window.acquire()
                sent.append(time.perf_counter())
                await call.write(request)
            await call.done_writing()

        sending = asyncio.create_task(send())
        answered = 0
        async for _response in call:
            latencies.append(time.perf_counter() - sent[answered])
            answered += 1
            window.release()
        await sending
        seconds = time.perf_counter() - began
    return _load(latencies, min(answered * size, count), seconds, len(requests) - answered)


def _load(latencies: list[float], items: int, seconds: float, errors: int) -> Load:
    ordered = sorted(latencies) or [0.0]
    return Load(
        items=items,
        seconds=seconds,
        p50_ms=1000 * ordered[len(ordered) // 2],
        p99_ms=1000 * ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        errors=errors,
    )


def main() -> int:
    """Run one load and print what it saw as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", choices=("unary", "stream"))
    parser.add_argument("target")
    parser.add_argument("--run", required=True, help="makes the leads of this run unlike any other's")
    parser.add_argument("--token", default="")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--limit-seconds", type=float, default=8.0)
    given = parser.parse_args()
    if given.shape == "unary":
        requests = unary_requests(given.run, given.count)
        load = asyncio.run(
            run_unary(given.target, given.token, requests, given.in_flight, given.limit_seconds)
        )
    else:
        requests = batch_requests(given.run, given.count, given.batch)
        load = asyncio.run(run_stream(given.target, given.token, requests, given.batch, given.count))
    print(json.dumps({**asdict(load), "per_second": load.per_second}))
    return 1 if load.errors else 0


if __name__ == "__main__":
    sys.exit(main())
