"""Which adapter stands behind which port?  The only package that knows, and the one that runs everything."""
