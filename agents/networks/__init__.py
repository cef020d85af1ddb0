"""Networks of portfolio agents: one scorer shared by all assets, behind stable-baselines3's policies."""
