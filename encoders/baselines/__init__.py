"""Encoders that every other one is measured by: ridge, boosted trees, GRU, principal components."""
