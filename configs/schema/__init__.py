"""The dataclasses that experiments are values of, one module per stage."""
