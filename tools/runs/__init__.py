"""Runs on disk: their folders and stages, what a finished one traded, and the accounts of everyone it is judged by."""
