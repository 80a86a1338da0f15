"""Bundled examples: real data, nothing to download."""
