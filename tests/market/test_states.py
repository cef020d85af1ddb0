from dataclasses import replace

import numpy as np
import pytest

from market.panel import Panel
from market.sources.synthetic.source import Synthetic
from market.states import PROVENANCE, VERSION, MarketStates
from market.storage.array_file import read_arrays, write_arrays

T, N, D, M, K = 12, 4, 6, 3, 2


@pytest.fixture
def states() -> MarketStates:
    rng = np.random.default_rng(0)
    mask = rng.random((T, N)) < 0.8
    return MarketStates(
        dates=np.datetime64("2020-01-01") + np.arange(T),
        assets=("A", "B", "C", "D"),
        asset=(rng.normal(size=(T, N, D)) * mask[:, :, None]).astype(np.float32),
        market=rng.normal(size=(T, M)).astype(np.float32),
        forecast_mean=np.where(mask, rng.normal(size=(T, N)), np.nan).astype(np.float32),
        forecast_std=np.where(mask, 1, np.nan).astype(np.float32),
        mask=mask,
        fit_end=np.datetime64("2019-12-31"),
        codes=rng.integers(0, 8, (T, N, K)).astype(np.int32),
        tokens={"series": rng.normal(size=(T, N, 5)).astype(np.float32)},
        provenance={key: f"the {key}" for key in PROVENANCE} | {"audit": "passed", "horizon": 1},
    )


def test_a_file_gives_the_states_back(states, tmp_path):
    digest = states.save(tmp_path / "states.safetensors")
    loaded = MarketStates.load(tmp_path / "states.safetensors")
    for name in ("dates", "asset", "market", "forecast_mean", "forecast_std", "mask", "codes"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(states, name))
        assert getattr(loaded, name).dtype == getattr(states, name).dtype
    np.testing.assert_array_equal(loaded.tokens["series"], states.tokens["series"])
    assert loaded.assets == states.assets
    assert loaded.provenance == states.provenance
    np.testing.assert_array_equal(loaded.fit_end, states.fit_end)
    np.testing.assert_array_equal(loaded.fold, states.fold)
    assert loaded.audited
    assert len(digest) == 64


def test_codes_and_tokens_are_optional(states, tmp_path):
    plain = replace(states, codes=None, tokens={})
    plain.save(tmp_path / "s")
    loaded = MarketStates.load(tmp_path / "s")
    assert loaded.codes is None
    assert loaded.tokens == {}


@pytest.mark.parametrize("audit", ["failed", None, "skipped"])
def test_only_a_passed_audit_counts(states, audit):
    assert not replace(states, provenance={**states.provenance, "audit": audit}).audited


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {"asset": s.asset[:-1]}, r"asset is float32 \(11, 4, 6\), expected float32 \(12, 4, D\)"),
        (lambda s: {"asset": s.asset.astype(float)}, r"asset is float64 \(12, 4, 6\), expected float32"),
        (lambda s: {"market": s.market[:, 0]}, r"market is float32 \(12,\), expected float32 \(12, M\)"),
        (
            lambda s: {"forecast_mean": s.forecast_mean.T},
            r"forecast_mean is float32 \(4, 12\), expected float32 \(12, 4\)",
        ),
        (lambda s: {"forecast_std": s.forecast_std[:, :2]}, "forecast_std is"),
        (lambda s: {"mask": s.mask.astype(np.float32)}, "mask is float32"),
        (lambda s: {"codes": s.codes[:, :, 0]}, r"codes is int32 \(12, 4\), expected int32 \(12, 4, K\)"),
        (lambda s: {"tokens": {"x": s.market[:3]}}, r"tokens x have shape \(3, 3\), expected 12 dates first"),
        (lambda s: {"dates": s.dates[::-1]}, "states: dates must increase"),
        (lambda s: {"assets": ("A", "A", "B", "C")}, "states: assets must be distinct, but 'A' stands twice"),
        (lambda s: {"assets": ("A", "B", "C")}, r"expected float32 \(12, 3, D\)"),
        (lambda s: {"fit_end": np.datetime64("NaT")}, "fit_end is not a day"),
        (lambda s: {"asset": np.where(s.asset == s.asset.max(), np.nan, s.asset)}, "asset holds NaN or infinity in 1"),
        (lambda s: {"market": np.full_like(s.market, np.inf)}, "market holds NaN or infinity in 36 places"),
    ],
)
def test_parts_that_do_not_fit_are_refused(states, change, message):
    with pytest.raises(ValueError, match=message):
        replace(states, **change(states))


def test_states_of_unknown_origin_are_not_saved(states, tmp_path):
    with pytest.raises(ValueError, match="provenance lacks fill, audit; name what made these states"):
        replace(states, provenance={k: v for k, v in states.provenance.items() if k not in ("fill", "audit")}).save(
            tmp_path / "s"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, "version is 3, expected 2"),
        ({"fit_end": None}, "'fit_end' is missing; extract the states again"),
        ({"fit_end": "2019-12-31"}, "fit_end are not a list of names"),
        ({"fit_end": ["soon"] * T}, "fit_end holds 'soon', expected a day"),
        ({"fit_end": ["2019-12-31"] * (T - 1)}, r"fit_end has shape \(11,\), expected a day for each of the 12 dates"),
        ({"fold": ["0"] * T}, "fold is not a list of whole numbers"),
        ({"fold": [0] * (T + 1)}, r"fold is int32 \(13,\), expected int32 \(12\)"),
        ({"audit": None}, "'audit' is missing"),
        ({"assets": {"A": 1}}, "assets are not a list of names"),
        ({"dates": ["2020-01-01"] * T}, "dates must increase"),
    ],
)
def test_hostile_files_are_refused_with_their_name(states, tmp_path, changes, message):
    states.save(tmp_path / "s")
    arrays, header = read_arrays(tmp_path / "s", "states", VERSION)
    header = {key: value for key, value in (header | changes).items() if value is not None}
    write_arrays(tmp_path / "forged", {name: np.array(array) for name, array in arrays.items()}, header)
    with pytest.raises(ValueError, match=f"^{tmp_path}/forged: .*{message}"):
        MarketStates.load(tmp_path / "forged")


def test_a_panel_is_not_states_and_damage_is_seen(states, tmp_path):
    Panel.from_frame(Synthetic(stocks=2, days=5).read()).save(tmp_path / "panel")
    with pytest.raises(ValueError, match="panel: kind is 'panel', expected 'states'"):
        MarketStates.load(tmp_path / "panel")
    states.save(tmp_path / "s")
    content = bytearray((tmp_path / "s").read_bytes())
    content[-3] ^= 4
    (tmp_path / "s").write_bytes(content)
    with pytest.raises(ValueError, match="s: fingerprint does not match"):
        MarketStates.load(tmp_path / "s")
    (tmp_path / "s").write_bytes(content[:-10])
    with pytest.raises(ValueError, match="s: not a readable safetensors file"):
        MarketStates.load(tmp_path / "s")


def test_a_row_is_in_sample_where_its_encoder_was_fitted_on_that_day_or_a_later_one(states):
    assert not states.in_sample.any()
    fitted = replace(states, fit_end=states.dates[4])
    np.testing.assert_array_equal(fitted.in_sample, np.arange(T) <= 4)
    walked = replace(states, fit_end=states.dates - np.timedelta64(2, "D"), fold=np.arange(T, dtype=np.int32) // 5)
    assert not walked.in_sample.any()
    late = walked.fit_end.copy()
    late[7] = states.dates[7]
    assert np.flatnonzero(replace(walked, fit_end=late).in_sample).tolist() == [7]


def test_every_row_keeps_its_own_fit_and_fold(states, tmp_path):
    folds = [{"fit_end": "2019-12-28"}, {"fit_end": "2020-01-05"}]
    fit_end = np.repeat(np.array(["2019-12-28", "2020-01-05"], "datetime64[D]"), T // 2)
    fold = np.repeat(np.arange(2, dtype=np.int32), T // 2)
    replace(states, fit_end=fit_end, fold=fold, provenance={**states.provenance, "folds": folds}).save(tmp_path / "s")
    loaded = MarketStates.load(tmp_path / "s")
    np.testing.assert_array_equal(loaded.fit_end, fit_end)
    np.testing.assert_array_equal(loaded.fold, fold)
    assert loaded.provenance["folds"] == folds
    assert loaded.fold.dtype == np.int32


def test_a_file_of_version_one_still_loads_and_its_rows_share_the_one_fit(states, tmp_path):
    states.save(tmp_path / "s")
    arrays, header = read_arrays(tmp_path / "s", "states", VERSION)
    older = {key: value for key, value in header.items() if key not in ("fold", "fingerprint")}
    older |= {"version": 1, "fit_end": "2020-01-03"}
    write_arrays(tmp_path / "v1", {name: np.array(array) for name, array in arrays.items()}, older)
    loaded = MarketStates.load(tmp_path / "v1")
    assert (loaded.fit_end == np.datetime64("2020-01-03")).all()
    np.testing.assert_array_equal(loaded.in_sample, np.arange(T) <= 2)
    np.testing.assert_array_equal(loaded.fold, np.zeros(T))
    np.testing.assert_array_equal(loaded.asset, states.asset)


def test_an_edited_fit_end_is_refused_by_the_fingerprint(states, tmp_path):
    replace(states, fit_end=states.dates[5]).save(tmp_path / "s")
    content = (tmp_path / "s").read_bytes()
    edited = content.replace(str(states.dates[5]).encode(), b"2019-12-31")
    assert edited != content
    (tmp_path / "s").write_bytes(edited)
    with pytest.raises(ValueError, match="s: fingerprint does not match"):
        MarketStates.load(tmp_path / "s")


def test_the_frame_has_a_row_for_each_state_and_its_numbers(states):
    frame = states.to_frame()
    assert len(frame) == states.mask.sum()
    day, asset = np.argwhere(states.mask)[7]
    row = frame.loc[(str(states.dates[day]), states.assets[asset])]
    assert row["state_5"] == states.asset[day, asset, 5]
    assert row["market_2"] == states.market[day, 2]
    assert row["forecast_mean"] == states.forecast_mean[day, asset]
    assert row["code_1"] == states.codes[day, asset, 1]
    assert not row["in_sample"]
    assert not frame.isna().any().any()
    part = states.to_frame("2020-01-03", "2020-01-05")
    assert part.index.get_level_values("date").unique().astype(str).tolist() == [
        "2020-01-03",
        "2020-01-04",
        "2020-01-05",
    ]
    assert "code_0" not in replace(states, codes=None).to_frame().columns


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (("2020-1-3", None), "'2020-1-3' is not a day; write it as YYYY-MM-DD"),
        ((None, "2020"), "'2020' is not a day; write it as YYYY-MM-DD"),
        (("2031-01-03", None), r"no day from 2031-01-03 to the last; they hold 2020-01-01 to "),
        (("2020-01-05", "2020-01-03"), r"no day from 2020-01-05 to 2020-01-03; they hold "),
    ],
)
def test_a_frame_of_days_that_are_none_or_not_there_is_refused_in_one_line(states, days, message):
    with pytest.raises(ValueError, match=message):
        states.to_frame(*days)
