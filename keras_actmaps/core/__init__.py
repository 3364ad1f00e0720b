"""The engine: traced models, graphs, validation, batching and the `Explanation` record."""
