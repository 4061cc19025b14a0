"""``make bench-cache``: what it costs, by each way of keeping a cache, that the view changes between turns."""
