"""Which results may be used again: keys, sources, digests."""
