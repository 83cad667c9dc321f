"""Each integration with its framework."""
