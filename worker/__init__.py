"""Runs workflows and activities: a process takes one or more roles."""

from worker.main import main

__all__ = ["main"]
