"""Explanation of whole data sets: sources, shards, and engines that compute them."""
