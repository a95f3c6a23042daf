"""What a node keeps on its disk: the record, the lease on it, and the sealed keys."""
