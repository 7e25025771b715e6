"""Whether readers of a bank see its money: transfers move it, nothing makes or destroys any.

The oldest test of isolation there is (Jepsen's "bank"): a reader that sees half of a transfer, or a
transfer from a balance that was out of date, finds another sum. Knows no store.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BalanceRead:
    """The balances that one committed transaction read.

    Attributes:
        thread: who read.
        balances: each account's balance; None for an account that wasn't there.
        invoked: the stamp at its begin.
        returned: the stamp at its end.
    """

    thread: int
    balances: Mapping[str, int | None]
    invoked: int
    returned: int


@dataclass(frozen=True, slots=True)
class BankReport:
    """What the readers saw.

    Attributes:
        complete_reads: reads of all accounts; a test that has none has shown nothing.
        violations: what can't be right, a line each.
    """

    complete_reads: int
    violations: tuple[str, ...]


def check_bank(reads: Iterable[BalanceRead], accounts: Collection[str], total: int) -> BankReport:
    """Check that every read of all accounts sums to the total, and that no balance is negative.

    Args:
        reads: what committed transactions read; those of some accounts only are not summed.
        accounts: all of them, there from the beginning and never removed. A transfer takes no more
            than there is, so a negative balance was taken from twice.
        total: what they hold together.

    Complexity: O(reads * accounts).
    """
    complete = 0
    violations: list[str] = []
    for read in reads:
        missing = sorted(name for name, balance in read.balances.items() if balance is None)
        below = sorted(name for name, balance in read.balances.items() if (balance or 0) < 0)
        found = sum(balance or 0 for balance in read.balances.values())
        is_complete = read.balances.keys() >= set(accounts)
        complete += is_complete
        faults = []
        if missing:
            faults.append(f"no account {', '.join(missing)}")
        if below:
            faults.append(f"less than nothing in {', '.join(below)}")
        if is_complete and found != total:
            faults.append(f"{found} together instead of {total}")
        if faults:
            balances = ", ".join(f"{name} {read.balances[name]}" for name in sorted(read.balances))
            when = f"thread {read.thread}, {read.invoked} to {read.returned}"
            violations.append(f"{when}: {'; '.join(faults)} ({balances})")
    return BankReport(complete, tuple(violations))
