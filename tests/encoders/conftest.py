"""Shapes in the signatures of `encoders` are checked in these tests, and free of cost everywhere else."""

from jaxtyping import install_import_hook

install_import_hook("encoders", "beartype.beartype")
