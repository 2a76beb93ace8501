"""How does the API server hear us, and we it?  The adapter of ``ports.Cluster``, and the Lease that says who writes."""
