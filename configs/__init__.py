"""Experiments: one frozen dataclass value per file, and the machinery that reads and writes such values."""
