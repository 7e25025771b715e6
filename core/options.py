"""What an argument that counts or measures something may be. Knows nothing of what it is for."""

from core.errors import InvalidOptionError


def checked_count(name: str, value: object) -> int:
    """Return `value` as a count, or say what is wrong with it.

    Raises:
        InvalidOptionError: it is not a whole number, or below 0.
    """
    if not isinstance(value, int) or value < 0:
        raise InvalidOptionError(f"{name} must be a whole number, 0 or more")
    return value
