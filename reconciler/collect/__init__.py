"""Read every source page by page into a snapshot, and know exactly what was not read."""
