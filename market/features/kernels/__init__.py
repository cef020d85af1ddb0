"""Compiled loops of the causal operators: rolling statistics, lags, and moments from sums."""
