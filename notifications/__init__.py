"""What Tidings knows: events, catalogue, planning, rendering, ledger, providers. Imports no framework."""
