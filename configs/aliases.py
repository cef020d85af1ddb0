"""Old names of classes and fields, so that runs of earlier versions open after a class was renamed or a field moved.

A file that moves needs no entry: a class is found by its package and name. Add an entry here only when a class gets
another name or another package, or when a field gets another name or place.
"""

from collections.abc import Mapping

CLASSES: Mapping[str, str] = {}
"""Public name of today by the old one, ``encoders.Old``, or by the whole old address, ``encoders.module.Old``.

The whole address serves where two classes of one package had the same name."""

FIELDS: Mapping[str, Mapping[str, str]] = {
    "encoders.Storm": {"codebook_size": "quantizer.codebook_size"},
    "encoders.FactorVQVAE": {"codebook_size": "quantizer.codebook_size"},
}
"""For a class, by its public name of today: the place of a field today by its old name.

A place is a field of the class, ``fee_rate``, or of a dataclass that it holds, ``quantizer.codebook_size``; where that
dataclass has no such field, because there the value follows from others, the old value is left out."""
