"""Several methods on the same images: maps, and one table."""
