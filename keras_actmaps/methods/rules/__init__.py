"""Propagation rules: guided and deconvnet ReLUs, the rules and composites of layer-wise relevance propagation."""
