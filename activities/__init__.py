"""Effects that workflows ask for: small classes that get their collaborators in `__init__`."""
