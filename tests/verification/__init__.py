"""Checkers of what the store promises: they are given what was observed and know no store."""
