"""Scripts of requests to ZooKeeper, what two servers say to them, and where that differs."""
