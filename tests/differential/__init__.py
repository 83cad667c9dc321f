"""The same random requests to a real ZooKeeper and to ours; every field of every answer is compared."""
