"""Dropout of whole groups of features in training, so that no forecast hangs on one of them.

A group is a name without its numbers: ``ROC5`` to ``ROC60`` are one, and so are the 60 days of ``CLOSE``. Rolling
statistics over different windows say nearly the same, so dropping them one by one would teach nothing.

Reference: Srivastava et al. (2014), Dropout, section 4; of groups instead of units.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from encoders.windows import Window
from market.features.realised import MARKET, REALISED

DIGITS = "0123456789"
KEPT = (REALISED, MARKET)
"""Beginnings of the names that are never dropped: labels that are known, which are targets too, and the market's."""


class FeatureDropout:
    """Drops each group of features of a day with one probability, for all its assets and the whole look-back.

    What is kept is scaled up, so that its mean is that of forecasting, where nothing is dropped.
    """

    def __init__(self, names: Sequence[str], share: float) -> None:
        self.share = share
        stems = [name if name.startswith(KEPT) else name.rstrip(DIGITS) for name in names]
        groups = {stem: number for number, stem in enumerate(dict.fromkeys(stems))}
        self.group: Int[Tensor, " F"] = torch.tensor([groups[stem] for stem in stems])
        self.droppable = torch.tensor([not stem.startswith(KEPT) for stem in groups])

    def __call__(self, window: Window) -> Window:
        """Returns the window without some groups; draws from torch's generator, unless nothing is to be dropped."""
        if not self.share:
            return window
        days, device = len(window.features), window.features.device
        dropped = (torch.rand(days, len(self.droppable)) < self.share) & self.droppable
        scale = torch.where(self.droppable, 1.0 / (1.0 - self.share), 1.0)
        factor = torch.where(dropped, 0.0, scale)[:, self.group].to(device)
        return window._replace(features=window.features * factor[:, None, None, :])
