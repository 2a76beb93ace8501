"""Who tells us what happens in the cluster?  kopf watches; nothing is decided here."""
