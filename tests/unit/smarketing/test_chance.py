"""Bytes of chance come from large draws, and none of them is given out twice."""

import os
from concurrent.futures import ThreadPoolExecutor

from smarketing.chance import random_bytes


def test_what_is_drawn_has_the_length_that_was_asked_for() -> None:
    assert [len(random_bytes(count)) for count in (0, 1, 44, 4096, 4097, 12)] == [0, 1, 44, 4096, 4097, 12]


def test_no_bytes_are_given_out_twice_in_one_thread_or_in_several() -> None:
    with ThreadPoolExecutor(4) as threads:
        drawn = list(threads.map(lambda _: random_bytes(12), range(4_000)))
    drawn += [random_bytes(12) for _ in range(1_000)]

    assert len(set(drawn)) == 5_000


def test_a_forked_process_draws_its_own() -> None:
    random_bytes(1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, random_bytes(32))
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 32) != random_bytes(32)
