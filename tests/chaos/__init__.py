"""The fault harness: real processes under load, a fault, and an account of what became of every event.

`make chaos SEEDS=3`, `make chaos FAULT='worker-*'`, `make chaos-selftest`; docs/guarantees.md says what it shows.
"""
