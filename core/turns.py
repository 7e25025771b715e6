"""Giving other threads their turn from within compiled code.

CPython takes the interpreter from a thread between two of its bytecodes, and compiled code has
none: whoever else wants to run waits until it returns. A `set_many` of a million keys would hold
up every other thread for more than a second.
"""


def give_way() -> None:
    """Let other threads run if they have waited for their turn; 50 ns if they have not.

    This module is never compiled: calling a function of bytecodes is what makes CPython look.
    """
