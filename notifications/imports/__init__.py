"""Recipients from files: bytes become records, records rows, rows recipients."""
