"""Campaigns: one template to an audience; what may be done to one, whom it reaches and what became of it."""
