"""Decisions only: what happens when, in which order. Effects are in `activities`."""
