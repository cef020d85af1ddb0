"""Actions: what a policy returns, and the target weights that it means."""
