"""The stages of the main job as functions."""
