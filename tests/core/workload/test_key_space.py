"""Key numbers: each is given once, and counts only when all before it are there."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from core.workload.key_space import KEY_PREFIX, KeySpace, load_key


def test_keys_lie_under_the_prefix() -> None:
    assert KEY_PREFIX == "load:"
    assert load_key(0) == "load:user0"
    assert load_key(12_345) == "load:user12345"


def test_the_loaded_keys_are_there_from_the_start() -> None:
    keys = KeySpace(100)
    assert keys.count == keys.loaded_count == 100
    assert keys.take() == 100


@given(st.permutations(range(12)))
def test_a_key_counts_once_all_before_it_are_settled(order: list[int]) -> None:
    keys = KeySpace(5)
    assert [keys.take() for _ in order] == [5 + number for number in range(12)]
    settled: set[int] = set()
    for number in order:
        keys.settle(5 + number)
        settled.add(number)
        unsettled = set(range(13)) - settled
        assert keys.count == 5 + min(unsettled)
        keys.check_invariants()


def test_threads_never_get_the_same_number() -> None:
    keys = KeySpace(10)
    taken: list[list[int]] = [[] for _ in range(8)]

    def work(mine: list[int]) -> None:
        for _ in range(2_000):
            mine.append(keys.take())
            keys.settle(mine[-1])

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for mine in taken for number in mine) == list(range(10, 16_010))
    assert keys.count == 16_010
    keys.check_invariants()
