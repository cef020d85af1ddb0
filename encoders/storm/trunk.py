"""STORM up to its quantised tokens and back to prices: cut, attend, quantise, pool; decode.

The kinds of token are ``time_series`` and ``cross_section``. Each has a transformer and a codebook of its own, or both
share the one called ``mix``.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from encoders.layers import RunningNorm, TimePool, Transformer, pack
from encoders.quantizers import QuantizedTokens, QuantizerConfig
from encoders.storm.branches import CrossSectionBranch, StormSizes, TimeSeriesBranch, attend, mean_of_assets
from encoders.windows import InputShape


class Tokens(NamedTuple):
    """Tokens of one kind before and after the quantiser: `[S, t, d]` of packed assets, or `[B, L q, d]` of days."""

    encoded: Float[Tensor, "R s d"]
    quantised: Float[Tensor, "R s d"]
    codes: Int[Tensor, "R s"]


class TrunkOutput(NamedTuple):
    """Output of the trunk for a batch.

    Attributes:
        tokens: Tokens by kind.
        found: What each quantiser said, by codebook.
        views: Each kind's pooled view of every day.
        own: Every listed asset's pooled tokens, or pooled embedding where there are no time-series tokens.
    """

    tokens: Mapping[str, Tokens]
    found: Mapping[str, QuantizedTokens]
    views: Mapping[str, Float[Tensor, "B wide"]]
    own: Float[Tensor, "S own"]


class Trunk(nn.Module):
    """Windows to tokens on both sides of the quantiser; nothing passes between the days of a batch.

    Shapes: `S` listed assets of the batch, `t` patches of a look-back, `q` tokens of a day, `d` width.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        joint: bool,
        sizes: StormSizes,
        quantizer: QuantizerConfig,
        shape: InputShape,
    ) -> None:
        super().__init__()
        self.joint, self.mix = joint, names == ("mix",)
        self.time_series = TimeSeriesBranch(sizes, shape) if names != ("cross_section",) else None
        self.cross_section = CrossSectionBranch(sizes, shape) if names != ("time_series",) else None
        self.asset_pool = TimePool(sizes.dim, shape.lookback) if self.time_series is None else None
        self.own_width = sizes.dim if self.time_series is None else 2 * sizes.dim
        deep = (sizes.dim, sizes.depth, sizes.heads, sizes.dropout)
        self.transformers = nn.ModuleDict({name: Transformer(*deep) for name in names})
        self.norms = nn.ModuleDict({name: RunningNorm(sizes.dim) for name in names})
        self.quantizers = nn.ModuleDict({name: quantizer.build(sizes.dim) for name in names})

    def forward(
        self, features: Float[Tensor, "B L N F"], mask: Bool[Tensor, "B N"], calendar: Float[Tensor, "B L c"]
    ) -> TrunkOutput:
        """Returns tokens and pools; features of masked assets are zero."""
        embedded: dict[str, Tensor] = {}
        views: dict[str, Tensor] = {}
        if self.time_series is not None:
            embedded["time_series"] = self.time_series(features, mask, calendar)
        if self.cross_section is not None:
            embedded["cross_section"], assets = self.cross_section(features, mask, calendar)
        tokens, found = self._quantize(self._attend(embedded, mask), mask)
        if self.cross_section is not None:
            days = tokens["cross_section"]
            views["cross_section"] = self.cross_section.pool(days.encoded, days.quantised)
        if self.time_series is not None:
            patches = tokens["time_series"]
            own: Tensor = self.time_series.pool(patches.encoded, patches.quantised)
            views["time_series"] = mean_of_assets(own, mask)
        elif self.asset_pool is not None:
            own = self.asset_pool(pack(rearrange(assets, "b l n d -> b n l d"), mask))
        return TrunkOutput(tokens, found, views, own)

    def decode(
        self, tokens: Mapping[str, Tokens], asset: Float[Tensor, "B N D"], mask: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "kinds S L P"]:
        """Returns the listed assets' prices as each kind of token rebuilds them, in units of the window's spread."""
        rebuilt = []
        if self.time_series is not None:
            rebuilt.append(self.time_series.decode(tokens["time_series"].quantised))
        if self.cross_section is not None:
            rebuilt.append(self.cross_section.decode(tokens["cross_section"].quantised, asset, mask))
        return torch.stack(rebuilt).float()

    def _attend(self, tokens: Mapping[str, Tensor], mask: Bool[Tensor, "B N"]) -> dict[str, Tensor]:
        if self.joint and self.mix:
            both = attend(self.transformers["mix"], tokens["time_series"], mask, tokens["cross_section"])
            return dict(zip(("time_series", "cross_section"), both, strict=True))
        mixed = {}
        for kind, each in tokens.items():
            transformer = self.transformers["mix" if self.mix else kind]
            across = self.joint and kind == "time_series"
            mixed[kind] = attend(transformer, each, mask)[0] if across else transformer(each)
        return mixed

    def _quantize(
        self, encoded: Mapping[str, Tensor], mask: Bool[Tensor, "B N"]
    ) -> tuple[dict[str, Tokens], dict[str, QuantizedTokens]]:
        groups = {"mix": tuple(encoded)} if self.mix else {kind: (kind,) for kind in encoded}
        tokens, found = {}, {}
        for name, kinds in groups.items():
            exist = None if kinds == ("time_series",) else torch.cat([_exist(k, encoded[k], mask) for k in kinds])
            rows = self.norms[name](torch.cat([encoded[kind].flatten(0, 1) for kind in kinds]), exist)
            found[name] = self.quantizers[name](rows, exist)
            lengths = [encoded[kind].shape[:2].numel() for kind in kinds]
            parts = zip(*(x.split(lengths) for x in (rows, found[name].quantised, found[name].codes)), strict=True)
            for kind, (before, after, codes) in zip(kinds, parts, strict=True):
                shape = encoded[kind].shape
                tokens[kind] = Tokens(before.reshape(shape), after.reshape(shape), codes.reshape(shape[:2]))
        return tokens, found


def _exist(kind: str, encoded: Float[Tensor, "R s d"], mask: Bool[Tensor, "B N"]) -> Bool[Tensor, " Rs"]:
    # Packed tokens all exist; a day without assets has cross-section tokens, but they say nothing.
    rows = mask.any(1) if kind == "cross_section" else mask.new_ones(len(encoded))
    return rows.repeat_interleave(encoded.shape[1])
