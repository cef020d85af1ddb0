"""One scoring network shared by all assets: permute the assets and the weights permute; N may change.

Every asset is scored from its own state, the market's, and the weight it has now. What depends on the day alone is
projected once for each distinct day of a batch, however many episodes stand on it.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from agents.networks.extractors import PolicyInput
from agents.networks.kernels import ScoredAssets

SILENT = -1e9
"""Value of an unlisted asset before the rectifier, which makes it zero: no mask over ``[B, N, H]`` is needed."""


class AssetNetwork(nn.Module):
    """Scores of every asset and a hidden vector of the whole portfolio.

    Assets that are not listed get no say in the whole.

    Shapes: B steps, N assets, H width.

    Reference: Zaheer et al. (2017), Deep Sets, theorem 2. https://arxiv.org/abs/1703.06114

    Args:
        asset_width: D.
        market_width: M.
        width: H.
        n_inputs: Numbers beside the states that each asset brings: its weight and, for critics, its action.
        n_outputs: Scores an asset; 0 for critics, which need the whole alone.
        n_whole: Numbers that the whole brings beside its assets: the weight of cash and, for critics, what leads an
            action.
    """

    def __init__(
        self, asset_width: int, market_width: int, width: int, n_inputs: int = 1, n_outputs: int = 0, n_whole: int = 1
    ) -> None:
        super().__init__()
        self.asset = nn.Linear(asset_width, width)
        self.market = nn.Linear(market_width, width, bias=False)
        self.inputs = nn.Linear(n_inputs, width, bias=False)
        self.whole = nn.Linear(2 * width + n_whole, width)
        self.score = nn.Linear(width, n_outputs) if n_outputs else None

    def forward(
        self, seen: PolicyInput, own: Float[Tensor, "B N I"], cash: Float[Tensor, "B W"]
    ) -> tuple[Float[Tensor, "B N O"] | None, Float[Tensor, "B H"]]:
        """Returns the scores of the assets, None where there are none, and the hidden vector of the whole.

        Args:
            seen: States and account.
            own: What each asset brings beside its state.
            cash: What the whole brings: the weight of cash and, for critics, what leads the action.
        """
        market = self.market(seen.market)
        per_day = self.asset(seen.assets).add_(rearrange(market, "u h -> u 1 h"))  # in place: it is large
        per_day = per_day.masked_fill_(rearrange(seen.mask == 0, "u n -> u n 1"), SILENT)
        weight = None if self.score is None else self.score.weight
        scores, total = ScoredAssets.apply(per_day, seen.day, own, self.inputs.weight, weight)  # type: ignore[no-untyped-call]
        count = seen.mask.sum(1, keepdim=True).clamp(min=1.0)
        parts = [total / seen.spread(count), seen.spread(torch.tanh(market)), cash]
        whole = torch.tanh(self.whole(torch.cat(parts, dim=1)))
        return None if self.score is None else scores + self.score.bias, whole


class PortfolioScorer(nn.Module):
    """Scores of cash and assets for the actor; the whole portfolio's hidden vector for the critic.

    Permuting the assets permutes the scores, and the number of assets is no part of the weights.

    Args:
        asset_width: D.
        market_width: M.
        width: Hidden width.
        first: Numbers in front of the assets': a fraction, the score of cash, both or none.
        n_outputs: Numbers per asset: 1 for a mean, 2 for mean and spread.
    """

    def __init__(self, asset_width: int, market_width: int, width: int, first: int, n_outputs: int = 1) -> None:
        super().__init__()
        self.network = AssetNetwork(asset_width, market_width, width, n_outputs=n_outputs)
        self.score_cash = nn.Linear(width, n_outputs * first) if first else None
        self.first = first

    def heads(self) -> list[nn.Module]:
        """Returns the last layers, which start small so that a fresh policy prefers nothing."""
        return [head for head in (self.network.score, self.score_cash) if head is not None]

    def forward(self, seen: PolicyInput) -> tuple[Float[Tensor, "B A O"], Float[Tensor, "B H"]]:
        """Returns the scores, cash first, and the hidden vector of the whole."""
        account = rearrange(seen.account, "b n -> b n 1")
        scores, whole = self.network(seen, account[:, 1:], account[:, 0])
        if self.score_cash is not None:
            scores = torch.cat([rearrange(self.score_cash(whole), "b (l o) -> b l o", l=self.first), scores], dim=1)
        return scores, whole


class PortfolioValue(nn.Module):
    """Values of an action on the whole portfolio: permuting assets and actions together changes nothing.

    Args:
        asset_width: D.
        market_width: M.
        width: Hidden width.
        n_outputs: Values.
        first: Numbers of an action in front of the assets'.
    """

    def __init__(self, asset_width: int, market_width: int, width: int, n_outputs: int = 1, first: int = 1) -> None:
        super().__init__()
        self.first = first
        self.network = AssetNetwork(asset_width, market_width, width, n_inputs=2, n_whole=1 + max(first, 1))
        self.value = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, n_outputs))

    def forward(self, seen: PolicyInput, action: Float[Tensor, "B A"]) -> Float[Tensor, "B O"]:
        """Returns the values of `action`, which may or may not begin with numbers that are no asset's."""
        led = action[:, : self.first] if self.first else torch.zeros_like(action[:, :1])
        both = torch.stack([seen.account[:, 1:], action[:, self.first :]], dim=-1)
        _, whole = self.network(seen, both, torch.cat([seen.account[:, :1], led], dim=1))
        value: Tensor = self.value(whole)
        return value
