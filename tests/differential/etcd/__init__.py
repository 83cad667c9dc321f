"""Scripts of calls and watches of etcd, what two servers say to them, and where that differs."""
