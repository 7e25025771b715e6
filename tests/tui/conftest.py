"""The screen's tests see the same on every machine: no animations, and nobody's own settings."""

import os

# Before Textual is imported: it reads its environment once.
os.environ["TEXTUAL_ANIMATIONS"] = "none"
for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_FILTERS", "TEXTUAL_COLOR_SYSTEM", "COLUMNS"):
    os.environ.pop(name, None)
