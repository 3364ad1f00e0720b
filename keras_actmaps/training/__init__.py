"""Training by each data set's protocol, and the run folders that it writes."""
