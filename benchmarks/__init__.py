"""Speed and memory, ours beside others', as tables."""
