"""Short plays for three machines of a protocol: the space-time diagrams of the documentation."""
