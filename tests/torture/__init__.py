"""What a cluster must survive: killed leaders, power cuts, and nonsense on every port."""
