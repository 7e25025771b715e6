"""Settings that hold for every test."""

import os
import signal

from hypothesis import settings

# No deadline: the machines that run this are noisy. A failure prints how to replay it.
settings.register_profile("ringtop", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ringtop"))

# A shell lets what it starts in the background ignore interrupts, and so would every program that
# is started and interrupted here: `make test &` waited minutes for what could not come.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
