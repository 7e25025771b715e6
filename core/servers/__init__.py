"""Storage for shards, behind one protocol. Knows no ring."""
