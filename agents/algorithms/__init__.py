"""Agents as frozen values, and how they become algorithms of stable-baselines3."""
