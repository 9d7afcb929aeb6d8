"""Who a recipient is, wherever that is known: our own tables or an external User Profile Service."""
