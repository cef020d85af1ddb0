"""FactorGym/SingleStock-v0: one account over one asset of a tape."""

from collections.abc import Callable, Sequence

from envs.actions.portfolio import Action
from envs.actions.single_asset import SellHoldBuy
from envs.arguments import checked_tape
from envs.batch import BatchMarket
from envs.costs import Costs
from envs.env import SingleEnv
from envs.episodes import Episodes
from envs.observations import OwnView, View
from envs.rebalancing import Rebalance
from envs.rewards import LogGrowth, Reward, StepResult
from envs.tape import Tape
from market.arrays import FloatArray


class SingleStockEnv(SingleEnv):
    """Moves wealth between cash and one asset, once a day.

    ## Description
    The account of `PortfolioEnv` over a single asset: the same step, the same costs, the same fills.

    ## Action Space
    That of `action`: `SellHoldBuy` takes 0, 1 or 2, `TargetLevels` the number of a level, `Position` a number in
    ``[-1, 1]`` that is stretched over the positions allowed. Finite actions outside a box are clipped to it; anything
    else that is not in the space is refused and leaves the account as it was.

    ## Observation Space
    ``full``: ``Dict(asset [D], market [M], account [2])``, float32: the asset's own state, the market's, and the
    weights of cash and asset at the close. ``flat``: the same in one row. ``compact``: ``Dict(day [1], account [2])``.

    ## Rewards
    That of `reward`; by default ``log(V_new / V_old)``, which sums to the log of final over initial wealth.

    ## Starting State
    Wealth 1 in cash or in `initial_weights`, on the first day of the tape or, with `episode_days`, on a random one.
    ``reset(options={"day": "2020-01-02"})`` chooses the day, by date or by row;
    ``days``, beside it or alone, chooses the number of steps.

    ## Episode End
    Terminated at ruin: wealth gone, or below the margin of the gross position. Truncated at the end of the tape or
    after `episode_days` steps.

    ## Information
    As in `PortfolioEnv`: ``weights`` ``[2]``, ``trades`` ``[1]``, ``turnover``, ``cost``, ``wealth``,
    ``gross_return``, ``date``.

    ## Arguments
    - ``tape``: the `Tape` to replay.
    - ``asset``: name of the asset; may be left out where the tape has only one.
    - ``costs``, ``action``, ``reward``, ``observation``, ``episode_days``, ``initial_weights``, ``render_mode``,
      ``rebalance``: as in `PortfolioEnv`; the action is `SellHoldBuy` by default.

    ## Version History
    - v0: first version.
    """

    def __init__(
        self,
        tape: Tape,
        asset: str | None = None,
        costs: Costs = Costs(),  # noqa: B008 - frozen
        action: Action = SellHoldBuy(),  # noqa: B008
        reward: Reward | Callable[[StepResult], FloatArray] = LogGrowth(),  # noqa: B008
        observation: View | OwnView = "full",
        episode_days: int | tuple[int, int] | None = None,
        initial_weights: Sequence[float] | None = None,
        render_mode: str | None = None,
        rebalance: Rebalance = 1,
    ) -> None:
        episodes = Episodes.of(episode_days, initial_weights)
        one = single_asset(checked_tape(tape), asset)
        market = BatchMarket(
            one, 1, costs, action, reward, observation, episodes, autoreset=False, one_asset=True, rebalance=rebalance
        )
        super().__init__(market, render_mode)


def single_asset(tape: Tape, asset: str | None) -> Tape:
    """Returns the tape of `asset`, or the tape itself where it has one asset and none is named.

    Raises:
        ValueError: No asset is named and there are several, or there is none of that name.
    """
    if asset is not None:
        return tape.only(asset)
    if tape.n_assets != 1:
        raise ValueError(
            f"asset is not given and the tape has {tape.n_assets}: {', '.join(tape.assets[:8])}; name one of them"
        )
    return tape
