"""Servers and the ring together: routing, planning, moving and observing."""
