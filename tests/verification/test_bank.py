"""The bank's checker against known histories."""

import random

from tests.verification.bank import BalanceRead, check_bank

ACCOUNTS = ("anna", "ben", "cleo")


def read(**balances: int | None) -> BalanceRead:
    """Return a read of balances."""
    return BalanceRead(1, balances, 5, 8)


def test_reads_that_sum_to_the_total_pass() -> None:
    reads = [read(anna=10, ben=0, cleo=20), read(anna=0, ben=30, cleo=0)]
    report = check_bank(reads, ACCOUNTS, 30)
    assert (report.complete_reads, report.violations) == (2, ())


def test_money_made_or_lost_is_found() -> None:
    report = check_bank([read(anna=10, ben=1, cleo=20)], ACCOUNTS, 30)
    assert report.violations == (
        "thread 1, 5 to 8: 31 together instead of 30 (anna 10, ben 1, cleo 20)",
    )


def test_a_missing_account_is_found() -> None:
    report = check_bank([read(anna=10, ben=None, cleo=20)], ACCOUNTS, 30)
    assert "no account ben" in report.violations[0]


def test_a_negative_balance_is_found_though_the_sum_is_right() -> None:
    report = check_bank([read(anna=-1, ben=11, cleo=20)], ACCOUNTS, 30)
    assert "less than nothing in anna" in report.violations[0]


def test_a_read_of_some_accounts_is_not_summed() -> None:
    report = check_bank([read(anna=10)], ACCOUNTS, 30)
    assert (report.complete_reads, report.violations) == (0, ())


def test_a_reader_that_sees_half_a_transfer_is_found() -> None:
    source = random.Random(7)
    balances = dict.fromkeys(ACCOUNTS, 10)
    whole, half = [], []
    for _ in range(50):
        giver, taker = source.sample(ACCOUNTS, 2)
        amount = source.randint(0, balances[giver])
        balances[giver] -= amount
        if amount:
            half.append(read(**balances))
        balances[taker] += amount
        whole.append(read(**balances))
    assert not check_bank(whole, ACCOUNTS, 30).violations
    assert len(check_bank(half, ACCOUNTS, 30).violations) == len(half) > 10
