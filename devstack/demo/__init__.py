"""The demo: real events through the whole stack, each followed to its end and checked against the inboxes."""
