"""Training of agents: the loop, validation, the best policy, resumption and TensorBoard."""
