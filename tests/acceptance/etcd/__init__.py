"""etcd's own clients and its recorded answers, against nodes of ours."""
