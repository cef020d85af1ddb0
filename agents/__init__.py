"""Agents: stable-baselines3 configurations, policies that trade, and classical policies behind the same predict."""
