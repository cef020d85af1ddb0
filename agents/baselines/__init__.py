"""Classical policies behind the predict of stable-baselines3."""
