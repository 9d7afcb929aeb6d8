"""Definitions: which event becomes which messages, and their texts."""
