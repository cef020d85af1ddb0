"""FactorGym/Portfolio-v0: one account over all assets of a tape."""

from collections.abc import Callable, Sequence

from envs.actions.portfolio import Action, LongOnly
from envs.batch import BatchMarket
from envs.costs import Costs
from envs.env import SingleEnv
from envs.episodes import Episodes
from envs.observations import OwnView, View
from envs.rebalancing import Rebalance
from envs.rewards import LogGrowth, Reward, StepResult
from envs.tape import Tape
from market.arrays import FloatArray


class PortfolioEnv(SingleEnv):
    """Spreads wealth over cash and N assets, once a day.

    ## Description
    A decision is taken after each close and carried out as the tape's fill convention says. The account drifts to the
    fill, trades, drifts to the next close, and every cost is booked exactly: after the trade it holds the target
    weights of its wealth after costs. Halted assets keep their value; weight on assets that are not listed is cash.

    ## Action Space
    That of `action`: `LongOnly` takes ``1 + N`` logits (cash first), `LongShort` N signed shares of the gross limit,
    `Tilt` scores that multiply what is held, `Step` a fraction of the way to a target, `Templates` the number of a
    portfolio. Finite actions outside a box are clipped to it; anything else that is not in
    the space is refused and leaves the account as it was.

    ## Observation Space
    ``full``: ``Dict(assets [N, D], market [M], account [1+N], mask [N])``, float32: what is seen of each asset and of
    the market, the weights at the close (cash first), and which assets are listed. ``flat``: the same in one row.
    ``compact``: ``Dict(day [1], account [1+N])`` for policies that hold ``tape.asset`` and ``tape.market``.

    ## Rewards
    That of `reward`; by default ``log(V_new / V_old)``, which sums to the log of final over initial wealth.

    ## Starting State
    Wealth 1 in cash or in `initial_weights`, on the first day of the tape or, with `episode_days`, on a random one.
    ``reset(options={"day": "2020-01-02"})`` chooses the day, by date or by row;
    ``days``, beside it or alone, chooses the number of steps and ``weights`` the position.

    ## Episode End
    Terminated at ruin: wealth gone, or below the margin of the gross position. Truncated at the end of the tape or
    after `episode_days` steps.

    ## Information
    ``weights`` ``[1+N]`` right after the trade, ``trades`` ``[N]`` in wealth units, ``turnover`` (one-way, cash
    included), ``cost`` of the trade in wealth units, ``wealth``, ``gross_return`` before that cost, ``date`` of the
    close.

    ## Arguments
    - ``tape``: the `Tape` to replay.
    - ``costs``: `Costs`, none by default.
    - ``action``, ``reward``: objects of `envs.actions.portfolio` and `envs.rewards`, or of any module with the same
      methods; a reward may be a plain function of a `StepResult`.
    - ``observation``: ``full``, ``flat``, ``compact``, or an object with ``space(tape)`` and
      ``observe(tape, day, account)``.
    - ``episode_days``: steps of an episode from a random start, a pair to draw the length too, or None for the whole
      tape.
    - ``initial_weights``: position at the start ``[1+N]``.
    - ``render_mode``: ``rgb_array``, ``human`` or None.
    - ``rebalance``: days that may trade, every so many or the first of each week (``W``) or month (``M``); in between
      the account drifts.

    ## Version History
    - v0: first version.
    """

    def __init__(
        self,
        tape: Tape,
        costs: Costs = Costs(),  # noqa: B008 - frozen
        action: Action = LongOnly(),  # noqa: B008
        reward: Reward | Callable[[StepResult], FloatArray] = LogGrowth(),  # noqa: B008
        observation: View | OwnView = "full",
        episode_days: int | tuple[int, int] | None = None,
        initial_weights: Sequence[float] | None = None,
        render_mode: str | None = None,
        rebalance: Rebalance = 1,
    ) -> None:
        episodes = Episodes.of(episode_days, initial_weights)
        super().__init__(
            BatchMarket(tape, 1, costs, action, reward, observation, episodes, autoreset=False, rebalance=rebalance),
            render_mode,
        )
