"""Observations: what a policy is shown after each close, always as fresh copies and never with a NaN.

============  ========================================================================================================
``full``      ``Dict(assets [N, D], market [M], account [1+N], mask [N])``; one asset: ``Dict(asset [D], market [M],
              account [2])``
``flat``      the parts of ``full`` in one row, for policies that take a plain vector
``compact``   ``Dict(day [1], account [1+N])``: the row of the tape, to be looked up by the policy with
              ``tape.seen_assets`` and ``tape.seen_market``, which do not depend on what an agent does.
============  ========================================================================================================

`Tape.channels` names what is seen of an asset on one day, `Tape.market_channels` what is seen of the market. With a
look-back of L days, D is L times the width of a day, oldest day first, and so is M.
"""

from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from gymnasium import spaces

from envs.arguments import refuse_class
from envs.tape import Tape
from market.arrays import AnyArray, FeatureArray, IntArray

View = Literal["full", "flat", "compact"]
Observation = AnyArray | dict[str, AnyArray]

_LARGEST = float(np.finfo(np.float32).max)


@runtime_checkable
class OwnView(Protocol):
    """Interface of an observation of one's own, of any module."""

    def space(self, tape: Tape) -> spaces.Space[Any]:
        """Returns the space of one observation."""
        ...

    def observe(self, tape: Tape, day: IntArray, account: FeatureArray) -> Observation:
        """Returns fresh observations of B episodes at rows `day` ``[B]`` with weights `account` ``[B, 1 + N]``.

        Only rows up to `day` may be read: ``tape.seen_assets(day)`` and ``tape.seen_market(day)`` do so.
        """
        ...


class ObservationBuilder:
    """Shows a tape and an account in one of the three views, or in one of the user's own.

    Attributes:
        view: ``full``, ``flat``, ``compact``, or an `OwnView`.
        space: Space of one observation.
    """

    def __init__(self, tape: Tape, view: "View | OwnView", one_asset: bool = False) -> None:
        refuse_class("observation", view)
        if not isinstance(view, OwnView) and view not in get_args(View):
            raise ValueError(
                f"observation is '{view}', expected one of {', '.join(get_args(View))}, or an object with space(tape) "
                "and observe(tape, day, account)"
            )
        self.view = view
        self._own = view if isinstance(view, OwnView) else None  # a protocol is slow to ask each step
        self._tape = tape
        self._one_asset = one_asset
        self._mask = tape.mask.astype(np.float32)
        self.space: spaces.Space[Any] = self._space() if self._own is None else self._own.space(tape)

    def observe(self, day: IntArray, account: FeatureArray) -> Observation:
        """Returns the observation of B episodes at rows `day` with weights `account` ``[B, 1 + N]``."""
        if self._own is not None:
            return self._own.observe(self._tape, day, account)
        if self.view == "compact":
            return {"day": day[:, None].copy(), "account": account}
        shown = self._shown(day, account)
        if self.view == "full":
            return shown
        return np.concatenate([array.reshape(len(day), -1) for array in shown.values()], axis=1)

    def _shown(self, day: IntArray, account: FeatureArray) -> dict[str, AnyArray]:
        assets, market = self._tape.seen_assets(day), self._tape.seen_market(day)
        if self._one_asset:
            return {"asset": assets[:, 0], "market": market, "account": account}
        return {"assets": assets, "market": market, "account": account, "mask": self._mask[day]}

    def _space(self) -> spaces.Space[Any]:
        days, names = len(self._tape), self._tape.n_assets
        width, market = self._tape.asset_width, self._tape.market_width
        account = _box(1 + names)
        if self.view == "compact":
            return spaces.Dict({"day": spaces.Box(0, days - 1, (1,), np.int64), "account": account})
        if self.view == "flat":
            return _box(names * width + market + 1 + names + (0 if self._one_asset else names))
        if self._one_asset:
            return spaces.Dict({"asset": _box(width), "market": _box(market), "account": account})
        mask = spaces.Box(0.0, 1.0, (names,), np.float32)
        return spaces.Dict({"assets": _box(names, width), "market": _box(market), "account": account, "mask": mask})


def _box(*shape: int) -> spaces.Box:
    return spaces.Box(-_LARGEST, _LARGEST, shape, np.float32)
