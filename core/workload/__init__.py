"""Load for a store: YCSB's workloads on worker threads."""
