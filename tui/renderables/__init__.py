"""Pure functions from frozen data to styled text, each tested without an app."""
