"""What it was worth, and how sure we are."""
