"""One scoring network shared by all assets: permute the assets and the weights permute; N may change.

Every asset is scored from its own state, the market's, and the weight it has now. What depends on the day alone is
projected once for each distinct day of a batch, however many episodes stand on it.
"""

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor, nn

from agents.lookup import Seen


class AssetNetwork(nn.Module):
    """Hidden vectors of every asset and of the whole portfolio.

    Shapes: B steps, N assets, H width.

    Reference: Zaheer et al. (2017), Deep Sets, theorem 2. https://arxiv.org/abs/1703.06114

    Args:
        asset_width: D.
        market_width: M.
        width: H.
        n_inputs: Numbers beside the states that each asset brings: its weight and, for critics, its action.
    """

    def __init__(self, asset_width: int, market_width: int, width: int, n_inputs: int = 1) -> None:
        super().__init__()
        self.asset = nn.Linear(asset_width, width)
        self.market = nn.Linear(market_width, width, bias=False)
        self.inputs = nn.Linear(n_inputs, width, bias=False)
        self.whole = nn.Linear(2 * width + n_inputs, width)

    def forward(
        self, seen: Seen, own: Float[Tensor, "B N I"], cash: Float[Tensor, "B I"]
    ) -> tuple[Float[Tensor, "B N H"], Float[Tensor, "B H"]]:
        """Returns the hidden vectors of the assets and of the whole.

        Args:
            seen: States and account.
            own: What each asset brings beside its state.
            cash: The same of cash.
        """
        market = self.market(seen.market)
        per_day = self.asset(seen.assets) + rearrange(market, "u h -> u 1 h")
        assets = torch.tanh(seen.spread(per_day) + self.inputs(own))
        mask = seen.spread(seen.mask)
        count = mask.sum(1, keepdim=True).clamp(min=1.0)
        mean = einsum(assets, mask, "b n h, b n -> b h") / count
        whole = torch.tanh(self.whole(torch.cat([mean, seen.spread(torch.tanh(market)), cash], dim=1)))
        return assets, whole


class PortfolioScorer(nn.Module):
    """Scores of cash and assets for the actor; the whole portfolio's hidden vector for the critic.

    Permuting the assets permutes the scores, and the number of assets is no part of the weights.

    Args:
        asset_width: D.
        market_width: M.
        width: Hidden width.
        cash: Whether cash is scored too, in front.
        n_outputs: Numbers per asset: 1 for a mean, 2 for mean and spread.
    """

    def __init__(self, asset_width: int, market_width: int, width: int, cash: bool, n_outputs: int = 1) -> None:
        super().__init__()
        self.network = AssetNetwork(asset_width, market_width, width)
        self.score = nn.Linear(width, n_outputs)
        self.score_cash = nn.Linear(width, n_outputs) if cash else None

    def forward(self, seen: Seen) -> tuple[Float[Tensor, "B A O"], Float[Tensor, "B H"]]:
        """Returns the scores, cash first, and the hidden vector of the whole."""
        account = rearrange(seen.account, "b n -> b n 1")
        assets, whole = self.network(seen, account[:, 1:], account[:, 0])
        scores = self.score(assets)
        if self.score_cash is not None:
            scores = torch.cat([rearrange(self.score_cash(whole), "b o -> b 1 o"), scores], dim=1)
        return scores, whole


class PortfolioValue(nn.Module):
    """Value of an action on the whole portfolio: permuting assets and actions together changes nothing."""

    def __init__(self, asset_width: int, market_width: int, width: int, n_outputs: int = 1) -> None:
        super().__init__()
        self.network = AssetNetwork(asset_width, market_width, width, n_inputs=2)
        self.value = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, n_outputs))

    def forward(self, seen: Seen, action: Float[Tensor, "B A"]) -> Float[Tensor, "B O"]:
        """Returns the value of `action`, which may or may not begin with cash."""
        if action.shape[1] < seen.account.shape[1]:
            action = torch.cat([torch.zeros_like(action[:, :1]), action], dim=1)
        both = torch.stack([seen.account, action], dim=-1)
        _, whole = self.network(seen, both[:, 1:], both[:, 0])
        value: Tensor = self.value(whole)
        return value
