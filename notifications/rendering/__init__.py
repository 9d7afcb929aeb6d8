"""Templates and event data in, what a provider sends out."""
