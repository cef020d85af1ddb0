import numpy as np

from market.panel import Panel
from market.sources import Source
from market.sources.bundled import Bundled


def test_twenty_stocks_without_holes():
    panel = Panel.from_frame(Bundled().read())
    assert panel.shape == (8313, 20, 1)
    assert panel.fields == ("close",)
    assert [str(day) for day in panel.dates[[0, -1]]] == ["1990-01-02", "2022-12-28"]
    assert panel.listed.all()
    assert panel.tradable.all()
    assert (panel["close"] > 0).all()
    assert panel["close"][0, panel.asset_index("AAPL")] == 0.264
    assert isinstance(Bundled(), Source)


def test_the_index_covers_the_same_days():
    index = Bundled.index()
    panel = Panel.from_frame(Bundled().read())
    np.testing.assert_array_equal(index.index.to_numpy().astype("datetime64[D]"), panel.dates)
    assert index.iloc[0] == 359.69
    stocks = np.diff(np.log(panel["close"]), axis=0).mean(1)
    assert np.corrcoef(stocks, np.diff(np.log(index)))[0, 1] > 0.9


def test_reading_needs_no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    assert len(Bundled().read()) == 8313 * 20
    assert len(Bundled.index()) == 8313
