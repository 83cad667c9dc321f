"""ZAB: stories of its rules, and random worlds."""
