"""Faults of our own in what carries events from one service to another, and in who follows them."""

from typing import Final

from tests.faults.harness.seeding import Edit, Mutant

ON_THE_BUS: Final = (
    Mutant(
        id="N4",
        what="a follower does not ask whether the log still holds the event that it applied last",
        test="tests/contract/bus/test_restored_logs.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="        if remembered is None or not self.position:\n",
                new="        if remembered is not None or not self.position:\n",
            )
        ],
    ),
    Mutant(
        id="N6",
        what="that an event is about to be handled is not noted before it is",
        test="tests/contract/bus/test_failing_events.py::"
        "test_an_event_that_ends_the_process_each_time_is_not_handled_for_ever",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="        if not self._begun:\n",
                new="        if self._begun is None:\n",
            )
        ],
    ),
    Mutant(
        id="N11",
        what="what a delivery leaves out is passed over",
        test="tests/contract/bus/test_feed.py::test_a_transport_that_loses_repeats_and_shuffles_changes_nothing",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="        if event.position != behind + count + 1:\n",
                new="        if event.position <= behind:\n",
            )
        ],
    ),
    Mutant(
        id="N21",
        what="a replica that applies its first event does not ask how far another one got meanwhile",
        test="tests/contract/bus/test_replicas_of_a_consumer.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="            if self.position >= last:\n",
                new="            if not last:\n",
            )
        ],
    ),
    Mutant(
        id="N27",
        what="a process ends at an event that it cannot take in",
        test="tests/contract/bus/test_failing_events.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="                if self._rest_seconds is None:\n",
                new="                if stopped is not None:\n",
            )
        ],
    ),
    Mutant(
        id="N29",
        what="an event counts as published, whatever the bus said of it",
        test="tests/contract/bus/test_cluster.py::test_a_log_outlives_its_leaders",
        edits=[
            Edit(
                path="smarketing/eventlog/relay.py",
                old="            if answer is not None:\n                ack = _outcome(answer)\n",
                new="            if answer is not None and not (answer.cancelled() or answer.exception()):\n"
                "                ack = _outcome(answer)\n",
            )
        ],
    ),
    Mutant(
        id="N30",
        what="an acknowledgement that the bus owes is waited for without end",
        test="tests/contract/bus/test_parted.py",
        edits=[
            Edit(
                path="smarketing/eventlog/relay.py",
                old="        while waiting and not client.is_closed and self._loop_time() < deadline:\n",
                new="        while waiting and not client.is_closed and deadline:\n",
            )
        ],
    ),
    Mutant(
        id="N31",
        what="a stream that the bus has lost is taken for a bus that is away",
        test="tests/contract/bus/test_cluster.py::"
        "test_a_stream_of_which_every_server_lost_its_store_is_made_anew",
        edits=[
            Edit(
                path="smarketing/eventlog/relay.py",
                old="        except NotFoundError:\n",
                new="        except NotFoundError:\n            if self._position:\n                raise\n",
            )
        ],
    ),
    Mutant(
        id="N32",
        what="whoever publishes gives up for good when the bus refuses instead of being away",
        test="tests/contract/bus/test_cluster.py::"
        "test_without_a_majority_writers_and_followers_go_on_and_the_relay_catches_up_later",
        edits=[
            Edit(
                path="smarketing/eventlog/relay.py",
                old="except (StorageError, ReadersBusy, *BUS_REFUSALS) as error:",
                new="except (StorageError, ReadersBusy, BusAway) as error:",
            )
        ],
    ),
    Mutant(
        id="N33",
        what="a message is known by its place in the stream, not by its event's in the log",
        test="tests/contract/bus/test_relay.py::"
        "test_what_is_published_again_soon_is_dropped_by_the_bus_and_later_by_the_consumer",
        edits=[
            Edit(
                path="smarketing/eventlog/relay.py",
                old='"Nats-Msg-Id": f"{event.log_id}:{event.position}",',
                new='"Nats-Msg-Id": f"{event.log_id}:{sent}",',
            )
        ],
    ),
    Mutant(
        id="N34",
        what="of two bodies of one position the first is taken, and its owner is not asked",
        test="tests/contract/bus/test_jetstream.py::test_of_two_bodies_of_one_position_the_owners_is_taken",
        edits=[
            Edit(
                path="smarketing/eventlog/jetstream.py",
                old="            if place.contradicts(event) or fresh.get(event.position, event) != event:\n",
                new="            event = fresh.get(event.position, event)\n"
                "            if place.contradicts(event):\n",
            )
        ],
    ),
    Mutant(
        id="N36",
        what="a subscription is made anew only when its connection is closed",
        test="tests/contract/bus/test_jetstream.py::test_a_subscription_that_the_bus_forgot_is_made_anew",
        edits=[
            Edit(
                path="smarketing/eventlog/jetstream.py",
                old="(self._lost or self._patience() <= 0 or self._client.is_closed)",
                new="self._client.is_closed",
            )
        ],
    ),
    Mutant(
        id="N54",
        what="members of an earlier division are not brought to one place before the log is divided anew",
        test="tests/contract/bus/test_partitions.py",
        edits=[
            Edit(
                path="smarketing/eventlog/group.py",
                old="for place in known if place.position < furthest]",
                new="for place in known if place.position > furthest]",
            )
        ],
    ),
    Mutant(
        id="N55",
        what="who follows a part that there is no more goes on as if nobody had been there before",
        test="tests/contract/bus/test_partitions.py",
        edits=[
            Edit(
                path="smarketing/eventlog/place.py",
                old="            if found is None and self._has_row:\n",
                new="            if found is None and known.position < 0:\n",
            )
        ],
    ),
    Mutant(
        id="N56",
        what="transactions that share their turn count positions from a head that is not committed",
        test="tests/contract/store/test_shared_turns.py",
        edits=[
            Edit(
                path="smarketing/eventlog/outbox.py",
                old="_find_heads if has_turn_alone(connection) else _lock_heads",
                new="_find_heads if has_turn_alone(connection) else _find_heads",
            )
        ],
    ),
    Mutant(
        id="N57",
        what="a member applies the events of other parts as well",
        test="tests/contract/bus/test_partitions.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="            if not (self._is_whole or self._partition.has(event.tenant)):\n",
                new="            if not event.tenant:\n",
            )
        ],
    ),
    Mutant(
        id="N58",
        what="whoever should have the turn to write alone shares it with folds",
        test="tests/contract/store/test_shared_turns.py",
        edits=[
            Edit(
                path="smarketing/sql/postgres.py",
                old="self._turn('writer')}\", self.clock)",
                new="self._turn('writer', shared=True)}\", self.clock)",
            )
        ],
    ),
    Mutant(
        id="N59",
        what="of two members of one part each trusts its own memory of the place",
        test="tests/contract/bus/test_partitions.py",
        edits=[
            Edit(
                path="smarketing/eventlog/place.py",
                old="                found.position == known.position and",
                new="                found.position >= 0 and",
            )
        ],
    ),
    Mutant(
        id="N60",
        what="folds of one tenant in two logs are kept apart by nothing but leases",
        test="tests/contract/bus/test_partitions.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="            if events and not self._is_whole:\n",
                new="            if not events and not self._is_whole:\n",
            )
        ],
    ),
    Mutant(
        id="N61",
        what="replicas that divide a log otherwise take parts from one another",
        test="tests/contract/bus/test_partitions.py",
        edits=[
            Edit(
                path="smarketing/server/replicas.py",
                old='f"{_PARTITION}-of-{partitions}"',
                new='f"{_PARTITION}"',
            )
        ],
    ),
    Mutant(
        id="N62",
        what="who only passes over is not told that what it stores was refused",
        test="tests/contract/bus/test_partitions.py",
        edits=[
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="            await self._place.store_passed()\n\n    async def look_on",
                new="            with suppress(ConsumerStopped):\n"
                "                await self._place.store_passed()\n\n    async def look_on",
            ),
            Edit(
                path="smarketing/eventlog/consumer.py",
                old="from contextlib import aclosing, asynccontextmanager\n",
                new="from contextlib import aclosing, asynccontextmanager, suppress\n",
            ),
        ],
    ),
)
