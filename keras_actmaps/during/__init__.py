"""During a fit: what `ExplainCallback` is made of, one job a file."""
