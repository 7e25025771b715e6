"""What a server may be called."""

import re

from core.errors import InvalidServerIdError
from core.safe_text import quoted

MAX_SERVER_ID_LENGTH = 64
_ALLOWED = re.compile(rf"[A-Za-z0-9._:-]{{1,{MAX_SERVER_ID_LENGTH}}}")


def text_of_server_id(server_id: object) -> str:
    """Return what may or may not be the id of a server that is there.

    Raises:
        InvalidServerIdError: it is no `str`, so that no server could ever be called that.
    """
    if not isinstance(server_id, str):
        raise InvalidServerIdError(f"a server id must be str, not {type(server_id).__name__}")
    return server_id


def checked_server_id(server_id: object) -> str:
    """Return `server_id` as a plain `str`, or say what is wrong with it.

    Raises:
        InvalidServerIdError: it is not 1 to 64 of letters, digits, ``.``, ``_``, ``-``, ``:``.
    """
    text = str.__str__(text_of_server_id(server_id))
    if _ALLOWED.fullmatch(text) is None:
        raise InvalidServerIdError(
            f"server id {quoted(text, 40)} is not allowed: "
            f"1 to {MAX_SERVER_ID_LENGTH} of A-Z a-z 0-9 . _ - :"
        )
    return text
