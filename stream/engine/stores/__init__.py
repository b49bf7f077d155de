"""Where a partition's committed state lies between two commits: in memory, or in RocksDB."""
