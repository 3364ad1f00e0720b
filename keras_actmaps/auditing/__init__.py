"""What a model relies on over a data set: clusters of relevance maps, causal tests of their evidence, mending."""
