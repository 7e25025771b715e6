"""What is said where a load has written into a data directory, and what it wrote stays there."""

LOAD_KEYS_STAY = (
    "what the load wrote stays in the data directory: "
    "ringtop rm --prefix load: --data DIR removes it"
)
