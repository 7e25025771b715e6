"""What a store in a data directory keeps when its process is killed, or its disk fails."""
