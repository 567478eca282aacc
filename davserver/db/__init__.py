"""Units (transactions) and rows (tables)."""
