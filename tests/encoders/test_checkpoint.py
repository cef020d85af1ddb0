"""The model file: what was saved is what is restored, and what does not fit is refused by name."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.base import Inference
from encoders.checkpoint import Checkpoint, answers_of, describe
from encoders.windows import InputShape
from market.scaling.scalers import RobustZScore
from market.storage import array_file
from tests.encoders.tiny import LABEL, SPLIT, Moves, Tiny, TinyEncoder, bars, tiny_data


def saved(path: Path, config: Tiny = Tiny()) -> Checkpoint:  # noqa: B008 - a frozen value
    data = tiny_data()
    torch.manual_seed(1)
    encoder = config.build(data.store.shape)
    about = describe(data, encoder, {"name": "tiny"})
    Checkpoint(encoder.state_dict(), data.pipeline.scaler.arrays(), about).save(path / "model.safetensors")
    return Checkpoint.load(path / "model.safetensors")


def test_a_restored_encoder_says_the_same(tmp_path: Path) -> None:
    data = tiny_data()
    torch.manual_seed(1)
    encoder = Tiny().build(data.store.shape).eval()
    restored = saved(tmp_path).restore(Tiny(), Moves(), RobustZScore())
    window = data.store.gather(torch.arange(20, 40))
    expected = encoder.predict(window.features, window.mask, window.calendar).mean.detach().numpy()
    rows = restored.rows(restored.store(bars()), np.arange(20, 40))
    np.testing.assert_array_equal(rows.forecast_mean, expected)
    assert not any(parameter.requires_grad for parameter in restored.encoder.parameters())


def test_it_says_what_made_it(tmp_path: Path) -> None:
    about = saved(tmp_path).about
    panel = bars()
    assert about["encoder"] == "TinyEncoder"
    assert about["features"] == ["one", "two", "range", "turnover"]
    assert about["fit_end"] == "2020-05-11"
    assert about["split"]["train"] == list(SPLIT.train)
    assert about["label"] == {"fill": LABEL.fill, "horizon": 1, "transform": None, "horizons": [], "trim": 0.0}
    assert about["panel_fingerprint"] == panel.fingerprint


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path)
    with pytest.raises(
        ValueError, match=r"embed.0.weight has shape \(8, 8\), TinyEncoder as configured wants \(16, 8\)"
    ):
        checkpoint.restore(Tiny(dim=16), Moves(), RobustZScore())
    with pytest.raises(ValueError, match=r"look-back of 8 days, the configuration says 16"):
        checkpoint.restore(Tiny(lookback=16), Moves(), RobustZScore())
    lost = replace(checkpoint, weights={k: v for k, v in checkpoint.weights.items() if k != "head.bias"})
    with pytest.raises(ValueError, match=r"head.bias has no such weight"):
        lost.restore(Tiny(), Moves(), RobustZScore())
    more = replace(checkpoint, weights={**checkpoint.weights, "extra": torch.zeros(2)})
    with pytest.raises(ValueError, match=r"extra has shape \(2,\), TinyEncoder as configured wants none"):
        more.restore(Tiny(), Moves(), RobustZScore())


def test_another_panel_is_refused_and_a_longer_one_is_not(tmp_path: Path) -> None:
    checkpoint, panel = saved(tmp_path), bars()
    checkpoint.refuse_other_panel(panel)
    longer = bars(n_days=170)
    values = np.array(longer.values)
    values[:160] = panel.values
    masks = {name: np.concatenate([getattr(panel, name), np.ones((10, 6), bool)]) for name in ("listed", "tradable")}
    checkpoint.refuse_other_panel(replace(longer, values=values, source={"from": "elsewhere"}, **masks))
    with pytest.raises(ValueError, match=r"it has 159 days, the training panel 160"):
        checkpoint.refuse_other_panel(panel[:159])
    with pytest.raises(ValueError, match=r"it has 5 assets, the training panel 6"):
        checkpoint.refuse_other_panel(panel.select(panel.assets[:5]))
    with pytest.raises(ValueError, match=r"it has X where the training panel has A5"):
        checkpoint.refuse_other_panel(replace(panel, assets=(*panel.assets[:5], "X")))
    touched = np.array(panel.values)
    touched[30, 2, 3] *= 1.01
    with pytest.raises(ValueError, match=r"first 160 days \(2020-01-01 to 2020-06-08\) hold other values"):
        checkpoint.refuse_other_panel(replace(panel, values=touched))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="the file is damaged"):
        Checkpoint.load(path)


class Changed(TinyEncoder):
    """The class of tomorrow: the same weights, another forecast."""

    def infer(self, features: Tensor, mask: Tensor, calendar: Tensor, *, tokens: bool = False) -> Inference:
        return super().infer(features.flip(1), mask, calendar, tokens=tokens)


@dataclass(frozen=True)
class ChangedTiny(Tiny):
    def build(self, shape: InputShape) -> Changed:
        return Changed(self, shape)


def test_a_class_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    data = tiny_data()
    torch.manual_seed(0)
    encoder = TinyEncoder(Tiny(), data.store.shape)
    about = describe(data, encoder, {})
    answers = answers_of(encoder, data.store.shape)
    Checkpoint(encoder.state_dict(), data.pipeline.scaler.arrays(), about, answers).save(tmp_path / "model.safetensors")
    found = Checkpoint.load(tmp_path / "model.safetensors")
    found.restore(Tiny(), Moves(), RobustZScore())
    with pytest.raises(ValueError, match=r"its (asset|forecast_mean) is .* the class has changed since"):
        found.restore(ChangedTiny(), Moves(), RobustZScore())


def test_a_file_of_an_earlier_version_has_no_answers_and_loads(tmp_path: Path) -> None:
    data = tiny_data()
    encoder = TinyEncoder(Tiny(), data.store.shape)
    about = describe(data, encoder, {})
    Checkpoint(encoder.state_dict(), data.pipeline.scaler.arrays(), about).save(tmp_path / "model.safetensors")
    Checkpoint.load(tmp_path / "model.safetensors").restore(Tiny(), Moves(), RobustZScore())


def test_no_file_is_exchanged_while_this_process_has_it_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows refuses to replace a file that is mapped, and a training reads its model and writes it anew."""
    maps, exchanged = Path("/proc/self/maps"), []
    if not maps.exists():
        pytest.skip("only Linux says what is mapped")

    def exchange(aside: Path, final: Path) -> None:
        assert str(final) not in maps.read_text(), f"{final.name} is mapped"
        assert str(aside) not in maps.read_text(), f"{final.name} is mapped while it is written"
        exchanged.append(final.name)
        aside.replace(final)

    monkeypatch.setattr(array_file, "exchange", exchange)
    read = saved(tmp_path)
    read.save(tmp_path / "model.safetensors")
    assert exchanged == ["model.safetensors"] * 2
