"""From a corpus to batches: a memory-mapped cache, a stream over shards, and what makes batches."""
