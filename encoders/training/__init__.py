"""Pretraining: the one loop, its optimiser, validation, results, resumption and TensorBoard."""
