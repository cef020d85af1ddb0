"""Learning algorithms of our own, behind the interface of stable-baselines3."""
