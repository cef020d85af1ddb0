"""The model file: weights, fitted scaler and everything needed to tell whether they fit; nothing in it is executed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from encoders.base import Encoder, EncoderConfig, evaluating
from encoders.data import FrozenEncoder, Pipeline, TrainingData
from encoders.training.resume import to_arrays, to_tensors
from encoders.windows import InputShape
from market.arrays import AnyArray
from market.features import FeatureSet
from market.panel import Panel, content_fingerprint
from market.scaling.scalers import Scaling
from market.storage.array_file import read_arrays, write_arrays

KIND, VERSION = "model", 1
EXTRA_STATE = "_extra_state"  # torch's name for what `Module.get_extra_state` returns
_WEIGHTS, _SCALER, _ANSWERS = "encoder/", "scaler/", "answers/"
APART = 0.02  # of a standard deviation, in the median: more than devices round apart
_ABOUT = {
    "encoder": str,
    "settings": dict,
    "features": list,
    "shape": dict,
    "label": dict,
    "split": dict,
    "fit_end": str,
    "train_rows": list,
    "assets": list,
    "n_days": int,
    "panel_fingerprint": str,
    "content_fingerprint": str,
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained encoder at rest.

    Attributes:
        weights: Parameters and buffers by name.
        scaler: What the scaler learnt, by name.
        about: What made it, as JSON: ``encoder`` (class), ``settings`` (the experiment), ``features`` (names),
            ``shape`` (of its windows), ``label``, ``split``, ``fit_end``, ``train_rows``, ``assets``, ``n_days``,
            ``panel_fingerprint``, ``content_fingerprint``, ``epoch``, ``metric``, ``value``, and once the run is over
            ``std_scale`` (`encoders.training.calibration`).
        answers: What the encoder said of a made-up window when it was saved (`answers_of`), by name; empty in files of
            earlier versions.
    """

    weights: Mapping[str, Tensor]
    scaler: Mapping[str, AnyArray]
    about: Mapping[str, Any]
    answers: Mapping[str, AnyArray] = field(default_factory=dict)

    @property
    def shape(self) -> InputShape:
        """The windows that the encoder was built for."""
        return InputShape(**self.about["shape"])

    def save(self, path: str | Path) -> str:
        """Writes ``model.safetensors``, aside and renamed, and returns its fingerprint."""
        arrays = {f"{_WEIGHTS}{name}": array for name, array in to_arrays(self.weights).items()}
        arrays |= {f"{_SCALER}{name}": array for name, array in self.scaler.items()}
        arrays |= {f"{_ANSWERS}{name}": array for name, array in self.answers.items()}
        return write_arrays(path, arrays, {"kind": KIND, "version": VERSION, **self.about})

    @staticmethod
    def load(path: str | Path) -> "Checkpoint":
        """Reads a model file; no code of it runs.

        Raises:
            ValueError: The file is missing, damaged, of another kind or version, or does not say what made it.
        """
        arrays, header = read_arrays(path, KIND, VERSION)
        for name, kind in _ABOUT.items():
            if type(header.get(name)) is not kind:
                raise ValueError(
                    f"{path}: {name} is {header.get(name)!r}, expected a {kind.__name__}; train the encoder again"
                )
        about = {name: value for name, value in header.items() if name not in ("kind", "version")}
        weights = {name[len(_WEIGHTS) :]: array for name, array in arrays.items() if name.startswith(_WEIGHTS)}
        return Checkpoint(to_tensors(weights), _copied(arrays, _SCALER), about, _copied(arrays, _ANSWERS))

    def restore(self, config: EncoderConfig, features: FeatureSet, scaling: Scaling) -> FrozenEncoder:
        """Returns the frozen encoder that was saved.

        Raises:
            ValueError: `config` describes another architecture, `features` are others, or the class of the encoder has
                changed since so that it says something else; names the first difference.
        """
        if config.lookback != self.shape.lookback:
            raise ValueError(
                f"checkpoint: trained with a look-back of {self.shape.lookback} days, the configuration says "
                f"{config.lookback}; use the configuration beside the checkpoint"
            )
        encoder = config.build(self.shape)
        self.load_into(encoder)
        encoder.requires_grad_(False).eval()
        self.refuse_other_answers(encoder)
        scaler = scaling.restore(tuple(self.about["features"]), self.scaler)
        pipeline = Pipeline(features, scaler, self.shape.lookback)
        return FrozenEncoder(pipeline, encoder, float(self.about.get("std_scale", 1.0)))

    def load_into(self, encoder: Encoder) -> None:
        """Puts the weights into an encoder of the same architecture.

        Raises:
            ValueError: A weight is missing, is left over, or has another shape; what torch calls extra state (trees) is
                of any size.
        """
        own = encoder.state_dict()
        for name in (*own, *self.weights):
            if name.endswith(EXTRA_STATE) and name in own and name in self.weights:
                continue
            saved, wanted = (tuple(part[name].shape) if name in part else None for part in (self.weights, own))
            if saved != wanted:
                said = "no such weight" if saved is None else f"shape {saved}"
                meant = "none" if wanted is None else f"{wanted}"
                raise ValueError(
                    f"checkpoint of {self.about.get('encoder')}: {name} has {said}, {type(encoder).__name__} as "
                    f"configured wants {meant}; it belongs to another architecture"
                )
        encoder.load_state_dict(dict(self.weights))

    def refuse_other_answers(self, encoder: Encoder) -> None:
        """Refuses an encoder that says something else of the made-up window than the one that was saved.

        Raises:
            ValueError: It does; its class is not what it was.
        """
        if not self.answers:
            return
        now = answers_of(encoder, self.shape)
        for name, before in self.answers.items():
            apart = np.abs(now[name].astype(np.float64) - before)
            if np.nanmedian(apart) > APART * max(float(np.nanstd(before)), 1e-12):
                raise ValueError(
                    f"checkpoint of {self.about['encoder']}: with the same weights and the same input its {name} is "
                    f"{np.nanmedian(apart):.3g} away from what it was when it was saved; the class has changed since, "
                    "restore it or train the encoder again"
                )

    def refuse_other_panel(self, panel: Panel) -> None:
        """Refuses a panel that is neither the one trained on nor that one with days appended.

        Raises:
            ValueError: It differs; the message says in what.
        """
        trained = self.about["n_days"]
        if list(panel.assets) != self.about["assets"]:
            difference = f"it has {len(panel.assets)} assets, the training panel {len(self.about['assets'])}"
            if len(panel.assets) == len(self.about["assets"]):
                pairs = zip(self.about["assets"], panel.assets, strict=True)
                before, now = next(pair for pair in pairs if pair[0] != pair[1])
                difference = f"it has {now} where the training panel has {before}"
        elif len(panel) < trained:
            difference = f"it has {len(panel)} days, the training panel {trained}"
        elif content_fingerprint(panel[:trained]) != self.about["content_fingerprint"]:
            difference = f"its first {trained} days ({panel.dates[0]} to {panel.dates[trained - 1]}) hold other values"
        else:
            return
        raise ValueError(f"checkpoint was trained on another panel: {difference}; name the panel with --panel")


def answers_of(encoder: Encoder, shape: InputShape) -> dict[str, AnyArray]:
    """Returns what an encoder says of a window of random numbers, always the same: ``forecast_mean`` and ``asset``."""
    generator = torch.Generator().manual_seed(0)
    places = (*encoder.parameters(), *encoder.buffers())
    device = places[0].device if places else torch.device("cpu")
    features = torch.randn(1, shape.lookback, shape.n_assets, shape.n_features, generator=generator)
    calendar = torch.rand(1, shape.lookback, shape.n_calendar, generator=generator)
    mask = torch.ones(1, shape.n_assets, dtype=torch.bool)
    with torch.no_grad(), evaluating(encoder):
        state, forecast, _ = encoder.infer(features.to(device), mask.to(device), calendar.to(device))
    found = {"forecast_mean": forecast.mean, "asset": state.asset}
    return {name: value.float().cpu().numpy() for name, value in found.items()}


def describe(data: TrainingData, encoder: Encoder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a checkpoint of this encoder on this data says of itself."""
    return {
        "encoder": type(encoder).__name__,
        "settings": dict(settings),
        "features": list(data.pipeline.scaler.fields),
        "shape": asdict(data.store.shape),
        "label": asdict(data.label),
        "split": asdict(data.split),
        "fit_end": str(data.fit_end),
        "train_rows": [data.days.train.start, data.days.train.stop],
        "assets": list(data.panel.assets),
        "n_days": len(data.panel),
        "panel_fingerprint": data.panel.fingerprint,
        "content_fingerprint": content_fingerprint(data.panel),
    }


def _copied(arrays: Mapping[str, AnyArray], prefix: str) -> dict[str, AnyArray]:
    """Copies, since Windows does not let a file be written anew while this process has it mapped."""
    return {name.removeprefix(prefix): np.array(value) for name, value in arrays.items() if name.startswith(prefix)}
