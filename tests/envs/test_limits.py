"""Limits an asset and a sector: they hold, they cut nothing else, and both kinds of weights keep their own rules."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from envs import BatchMarket, Costs, Episodes, LongOnly, LongShort, SectorLimit, Step, Tape, TargetWeights, Tilt
from tests.envs.markets import messy_panel, panel_of, plain_panel

SECTORS = ("tech", "oil", "tech", "bank", "oil")
STATUS = Tape.from_panel(plain_panel(days=3, assets=5), fill="close").status
TINY = 1e-12


def weights_of(action, raw: np.ndarray) -> np.ndarray:
    targets, hold = np.zeros((len(raw), 6)), np.zeros(len(raw), bool)
    action.to_weights(raw, STATUS, np.zeros(len(raw), np.int64), targets, hold)
    assert not hold.any()
    return targets


def by_sector(weights: np.ndarray) -> np.ndarray:
    names = np.array(SECTORS)
    return np.stack([np.abs(weights[:, 1:][:, names == one]).sum(1) for one in np.unique(names)], axis=1)


@given(
    arrays(np.float64, (3, 6), elements=st.floats(-1, 1)), st.floats(0.05, 1.2), st.sampled_from([None, 0.1, 0.3, 0.7])
)
def test_long_only_weights_are_within_both_limits(raw, sector_cap, asset_cap):
    base = LongOnly(bound=1, scale=5)
    found, free = weights_of(SectorLimit(SECTORS, sector_cap, asset_cap, base), raw), weights_of(base, raw)
    assert (by_sector(found) <= sector_cap + TINY).all()
    assert (found[:, 1:] <= (asset_cap or 1.0) + TINY).all()
    assert (found >= 0).all()
    assert found.sum(1) == pytest.approx(1.0, abs=TINY)
    within = (by_sector(free) <= sector_cap).all(1) & (free[:, 1:] <= (asset_cap or 1.0)).all(1)
    np.testing.assert_array_equal(found[within], free[within])


@given(arrays(np.float64, (3, 5), elements=st.floats(-1, 1)), st.floats(0.05, 1.2), st.sampled_from([None, 0.1, 0.4]))
@pytest.mark.parametrize("net", [0.0, 0.3, None])
def test_signed_weights_are_within_all_limits(net, raw, sector_cap, asset_cap):
    base = LongShort(gross=1.5, net=net)
    found, free = weights_of(SectorLimit(SECTORS, sector_cap, asset_cap, base), raw), weights_of(base, raw)
    assert (by_sector(found) <= sector_cap + TINY).all()
    assert (np.abs(found[:, 1:]) <= (asset_cap or 1.5) + TINY).all()
    assert (np.abs(found[:, 1:].sum(1)) <= base.net_limit + TINY).all()
    assert found.sum(1) == pytest.approx(1.0, abs=TINY)
    assert (np.abs(found[:, 1:]) <= np.abs(free[:, 1:]) + TINY).all()  # nothing is levered up
    assert (found[:, 1:] * free[:, 1:] >= 0).all()


def test_what_is_cut_goes_to_the_others_in_proportion():
    """Tech wants .6 of .9 and gets .3: the .3 that is cut lifts oil, bank and cash, .4 together, by three quarters."""
    wanted = np.array([[0.1, 0.4, 0.1, 0.2, 0.15, 0.05]])
    raw = np.log(wanted / wanted.max()) / 5
    found = weights_of(SectorLimit(SECTORS, 0.3), raw)[0]
    assert found == pytest.approx([0.175, 0.2, 0.175, 0.1, 0.2625, 0.0875], abs=1e-12)
    # At .18 an asset tech is cut to .18 each and then to .15; bank and the first oil stop at .18, the second has room.
    both = weights_of(SectorLimit(SECTORS, 0.3, 0.18), raw)[0]
    assert both == pytest.approx([0.68 / 3, 0.15, 0.18, 0.15, 0.18, 0.34 / 3], abs=1e-12)


def test_what_nobody_can_take_is_cash():
    raw = np.array([[-1.0, 1, 1, 1, 1, 1]])
    assert weights_of(SectorLimit(SECTORS, 0.2), raw)[0, 0] == pytest.approx(0.4, abs=1e-12)
    no_cash = SectorLimit(SECTORS, 0.2, base=LongOnly(cash=False, bound=1, scale=5))
    assert weights_of(no_cash, raw[:, 1:])[0] == pytest.approx([0.4, 0.1, 0.1, 0.1, 0.2, 0.1], abs=1e-12)


@pytest.mark.parametrize("action", [SectorLimit(SECTORS, 0.4, 0.3), SectorLimit(SECTORS, 0.4, base=LongShort(1.5))])
def test_no_halt_lifts_a_weight_over_its_limit(action):
    """A halted asset keeps what it has; what is traded beside it stays within the limits."""
    tape = Tape.from_panel(messy_panel(days=60, assets=5, seed=4, halts=0.3, absent=0.1, changes=True))
    market = BatchMarket(tape, 4, Costs(1e-3), action, episodes=Episodes(30), seed=0)
    market.reset(seed=0)
    generator = np.random.default_rng(0)
    for _ in range(40):
        day = market.clock.day
        traded = tape.tradable[np.minimum(day + 1, len(tape) - 1)]
        info = market.step(generator.uniform(-1, 1, (4, *action.space(5).shape)))[4]
        sizes = np.where(traded, np.abs(info["weights"][:, 1:]), 0.0)
        assert (sizes <= min(action.asset_cap or 9, action.sector_cap) + 1e-9).all()


@pytest.mark.parametrize("action", [SectorLimit(SECTORS), Step(SectorLimit(SECTORS, base=LongShort(1.5)))], ids=repr)
def test_both_checkers_pass_without_a_warning(action):
    tape = Tape.from_panel(plain_panel(days=12, assets=5), fill="next_open")
    env = gymnasium.make("FactorGym/Portfolio-v0", tape=tape, action=action, observation="flat")
    check_env(env.unwrapped, skip_render_check=True)
    sb3_check_env(env.unwrapped)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SectorLimit(SECTORS, 0.0), "SectorLimit: sector_cap is 0.0, expected a positive weight"),
        (lambda: SectorLimit(SECTORS, asset_cap=-1), "SectorLimit: asset_cap is -1"),
        (lambda: SectorLimit(SECTORS, base=Tilt()), r"base is Tilt.*Step\(SectorLimit"),
        (lambda: SectorLimit(SECTORS, base=TargetWeights()), "base is TargetWeights"),
        (lambda: SectorLimit(SECTORS).space(4), "sectors names 5 assets, the tape has 4"),
    ],
)
def test_impossible_limits_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_step_towards_limits_keeps_them():
    tape = Tape.from_panel(panel_of(np.full((5, 5), 10.0)), fill="close")
    market = BatchMarket(tape, 1, action=Step(SectorLimit(SECTORS, 0.3)), autoreset=False)
    market.reset()
    for _ in range(4):
        info = market.step(np.array([[0.7, -1, 1, -1, 1, -1, -1]]))[4]
        assert (by_sector(info["weights"]) <= 0.3 + TINY).all()
    assert by_sector(info["weights"])[0, 2] > 0.29  # tech, which it asks for
