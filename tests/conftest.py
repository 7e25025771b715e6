"""Settings that hold for every test."""

import os

from hypothesis import settings

# No deadline: the machines that run this are noisy. A failure prints how to replay it.
settings.register_profile("ringtop", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ringtop"))
