"""Old names of classes and fields, so that runs of earlier versions open after a class was renamed or a field moved.

A file that moves needs no entry: a class is found by its package and name. Add an entry here only when a class gets
another name or another package, or when a field gets another name or place.
"""

from collections.abc import Mapping

CLASSES: Mapping[str, str] = {
    "encoders.Sizes": "encoders.StormSizes",
    "encoders.Weights": "encoders.LossWeights",
    "encoders.Cross": "encoders.CrossSection",
    "encoders.Recurrent": "encoders.RecurrentWindow",
    "encoders.Sectors": "encoders.SectorCondition",
    "encoders.Factors": "encoders.StormFactors",
    "market.Named": "market.PrefixScaling",
    "market.Unscaled": "market.NoScaling",
    "market.ByName": "market.ScalingByName",
    "market.Joined": "market.FeatureUnion",
    "agents.Schedule": "agents.TrainingConfig",
    "configs.schema.discover.FactorModel": "configs.DiscoverModel",
}
"""Public name of today by the old one, ``encoders.Old``, or by the whole old address, ``encoders.module.Old``.

The whole address serves where two classes of one package had the same name."""

FIELDS: Mapping[str, Mapping[str, str]] = {
    "encoders.Storm": {"codebook_size": "quantizer.codebook_size"},
    "encoders.FactorVQVAE": {"codebook_size": "quantizer.codebook_size"},
    "market.Rules": {"split_tolerance": ""},
}
"""For a class, by its public name of today: the place of a field today by its old name.

A place is a field of the class, ``fee_rate``, or of a dataclass that it holds, ``quantizer.codebook_size``; where that
dataclass has no such field, because there the value follows from others, the old value is left out. An empty place is
that of a field which is gone without a successor."""

VALUES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "market.Rules": {"jump": {"mask": "cut"}},  # a panel made under the old rule has to be prepared again
}
"""For a class, by its public name of today: what a value of a field was called before, field by field."""

ABSENT: Mapping[str, Mapping[str, str]] = {"configs.Trade": {"in_sample": "allow", "observe": "states"}}
"""For a class, by its public name of today: the value of a field in files that were written before it existed, where
that is not the default of today."""
