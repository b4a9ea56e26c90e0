"""Sample deliveries (see README.md) and the made-up city."""
