"""FactorVQVAE's second stage satisfies the contract; what reaches the transformer, and what it must not know."""

import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.checkpoint import Checkpoint
from encoders.common.losses import pairwise_rank_loss
from encoders.data import prepare
from encoders.factor_vqvae.gpt import CodeGPT, MarketMemory, next_token_targets
from encoders.factor_vqvae.predictor import FactorVQVAEPredictor, FactorVQVAEPredictorEncoder, FirstStageOutput
from encoders.factor_vqvae.sampling import scenarios
from encoders.states.audit import Audit, TrainingFacts
from encoders.states.extraction import Extraction, extract
from encoders.testing.windows import make_window, trained
from encoders.training.loop import Experiment, pretrain
from encoders.training.optim import Optim
from encoders.windows import InputShape, Window
from market.prices.labels import Label
from tests.encoders import test_factor_vqvae as stage_one
from tests.encoders.conformance import SetConformance
from tests.encoders.test_audit import PROVENANCE
from tests.encoders.test_factor_vqvae import LABEL, SCALING, SMALL, TINY, data_of
from tests.encoders.tiny import SPLIT, bars

SHAPE = stage_one.TestFactorVQVAE.shape


@cache
def first_stage() -> dict[str, Tensor]:
    with torch.random.fork_rng():
        return trained(SMALL, SHAPE, n_steps=25).state_dict()


@dataclass(frozen=True)
class Ready(FactorVQVAEPredictor):
    """Starts from a trained first stage without a run on disk."""

    run: str = ""

    def build(self, shape: InputShape) -> FactorVQVAEPredictorEncoder:
        encoder = super().build(shape)
        encoder.stage.load_state_dict(first_stage())
        return encoder


CONFIG = Ready(tokens=SMALL, width=16, depth=2, heads=2)


class TestFactorVQVAEPredictor(SetConformance):
    config = CONFIG
    shape = SHAPE
    overfit_steps = 200


@pytest.fixture(scope="module")
def encoder() -> FactorVQVAEPredictorEncoder:
    return trained(CONFIG, SHAPE, n_steps=10)  # type: ignore[return-value]


def gradient(encoder: FactorVQVAEPredictorEncoder, **weights: float) -> dict[str, Tensor | None]:
    """Returns the gradients of the transformer under some terms of the loss alone."""
    none = {"code": 0.0, "error": 0.0, "likelihood": 0.0, "pairs": 0.0, "rank": 0.0}
    config = encoder.config
    encoder.config = replace(config, **none | weights)  # type: ignore[arg-type]
    encoder.train()
    encoder.zero_grad()
    encoder(make_window(CONFIG, SHAPE)).loss.backward()
    encoder.config = config
    return {name: parameter.grad for name, parameter in encoder.named_parameters()}


@pytest.mark.parametrize("term", ["pairs", "rank", "error"])
def test_ranks_and_errors_reach_the_transformer(encoder: FactorVQVAEPredictorEncoder, term: str) -> None:
    found = gradient(encoder, **{term: 1.0})
    for name in (
        "gpt.layers.0.own.projection.weight",
        "gpt.word.weight",
        "gpt.next.weight",
        "market.days.weight_ih_l0",
    ):
        grad = found[name]
        assert grad is not None
        assert grad.any(), f"{term} does not reach {name}"


def test_the_first_stage_stays_as_it_is_but_for_its_decoder(encoder: FactorVQVAEPredictorEncoder) -> None:
    learnt = {
        name.split(".")[1] for name, part in encoder.named_parameters() if part.requires_grad and "stage." in name
    }
    assert learnt == {"decoder"}
    before = first_stage()
    for name, value in encoder.stage.state_dict().items():
        if name.split(".")[0] != "decoder":
            assert value.equal(before[name]), f"training moved {name}"


def test_the_first_layers_look_at_the_market() -> None:
    for market_layers in (1, 2, 3):
        layers = CodeGPT(8, 5, 6, 16, 3, 2, market_layers=market_layers).layers
        assert [layer.market is not None for layer in layers] == [place < market_layers for place in range(3)]


def test_cross_entropy_is_a_mean_over_the_codes_that_become_known(encoder: FactorVQVAEPredictorEncoder) -> None:
    window = make_window(CONFIG, SHAPE)
    encoder.eval()
    with torch.no_grad():
        reading = encoder._read_all(window)
        today = encoder.predict_next(reading._replace(codes=reading.codes[:, :-1]), window.mask)
        found = encoder.cross_entropy(today, reading.codes)
        positions, target, known = next_token_targets(reading.codes, SMALL.span)
        assert not known.all()
        hidden = today.hidden.clone()
        hidden[:, -1] = today.last
        chance = encoder.gpt.next(hidden[:, positions]).softmax(-1)[known]
        expected = -chance[torch.arange(len(chance)), target[known]].log().mean() / np.log(
            SMALL.quantizer.codebook_size
        )
        assert encoder.cross_entropy(today, torch.full_like(reading.codes, -1)) == 0
    torch.testing.assert_close(found, expected)


def test_pairs_by_hand_and_what_they_ignore() -> None:
    forecast, label = torch.tensor([[1.0, 2.0, 4.0, 9.0]]), torch.tensor([[3.0, 1.0, 2.0, torch.nan]])
    known = label.isfinite()
    wrong = 1.0 * 2.0 + 3.0 * 1.0  # the pairs (0, 1) and (0, 2), each of them twice among the six ordered ones
    loss = pairwise_rank_loss(forecast, label, known)
    torch.testing.assert_close(loss, torch.tensor(2 * wrong / 6))
    forecasts, labels = torch.randn(3, 9), torch.randn(3, 9)
    there = torch.rand(3, 9) > 0.2
    offset = torch.randn(3, 1)
    plain = pairwise_rank_loss(forecasts, labels, there)
    torch.testing.assert_close(pairwise_rank_loss(forecasts + 5 * offset, labels, there), plain)
    torch.testing.assert_close(pairwise_rank_loss(forecasts, labels - offset, there), plain)
    order = torch.randperm(9)
    torch.testing.assert_close(pairwise_rank_loss(forecasts[:, order], labels[:, order], there[:, order]), plain)
    assert pairwise_rank_loss(labels, labels, there) == 0
    assert pairwise_rank_loss(forecasts, labels, there & False) == 0


def test_pairs_are_those_of_one_day() -> None:
    """Two days, each ordered rightly, whose levels are not: nothing is wrong."""
    forecast, label = torch.tensor([[1.0, 2.0], [11.0, 12.0]]), torch.tensor([[5.0, 6.0], [1.0, 2.0]])
    assert pairwise_rank_loss(forecast, label, label.isfinite()) == 0


@pytest.mark.parametrize("layers", [1, 2])
def test_no_position_knows_a_later_token_or_market(layers: int) -> None:
    torch.manual_seed(0)
    gpt, memory = CodeGPT(8, 5, 6, 16, 2, 2, market_layers=layers).eval(), MarketMemory(3, 16)
    codes, vectors, market, day = (
        torch.randint(5, (4, 6)),
        torch.randn(5, 8),
        torch.randn(2, 6, 3),
        torch.tensor([0, 0, 1, 1]),
    )
    plain = gpt(codes, vectors, memory(market), day)
    for changed in range(6):
        other = codes.clone()
        other[:, changed] = (other[:, changed] + 1) % 5
        moved = (gpt(other, vectors, memory(market), day) != plain).any(-1).all(0)
        assert moved.tolist() == [position > changed for position in range(7)]
        later = market.clone()
        later[:, changed] = torch.randn(2, 3)
        moved = (gpt(codes, vectors, memory(later), day) != plain).any(-1).all(0)
        assert moved.tolist() == [position > changed for position in range(7)]


@pytest.mark.parametrize("span", [1, 2, 3])
def test_what_is_foretold_is_never_known(span: int) -> None:
    codes = torch.arange(7)[None].clone()  # six rows and the label of today, each code its own place
    positions, target, known = next_token_targets(codes, span)
    assert known.all()
    for position, item in zip(positions, target[0].tolist(), strict=True):
        row = item if item < 6 else 5 + span  # where the label becomes known
        assert row - span == position - 1, "a position predicts the label of the last day it has read"
        assert row > position - 1
    assert positions[-1] == 6
    assert len(positions) == 6 - span + 2
    codes[0, -1] = -1
    assert next_token_targets(codes, span)[2].tolist() == [[True] * (6 - span + 1) + [False]]


def test_the_deviation_is_that_of_the_decoder_and_of_the_likeliest_codes(encoder: FactorVQVAEPredictorEncoder) -> None:
    window, stage = make_window(CONFIG, SHAPE), encoder.stage
    encoder.eval()
    with torch.no_grad():
        reading = encoder.read(window.features, window.mask)
        today = encoder.predict_next(reading, window.mask)
        chance = encoder.gpt.next(today.last).softmax(-1)
        for row in range(0, len(chance), 5):
            asset, factors = reading.asset[row : row + 1], reading.factors[None, row : row + 1]
            codes = chance[row].argsort(descending=True)[:8]

            def decoded(word: Tensor, asset: Tensor = asset, factors: Tensor = factors) -> tuple[float, float]:
                (found,) = stage.decoder(asset, stage.factors(word[None, None], factors)[0][:, 0])
                return float(found.mean), float(found.std)

            means = np.array([decoded(encoder.words(code))[0] for code in codes])
            weight = (chance[row, codes] / chance[row, codes].sum()).numpy()
            spread = (weight * (means - (weight * means).sum()) ** 2).sum()
            mean, std = decoded(chance[row] @ encoder.vectors())
            assert spread > 0
            np.testing.assert_allclose(today.returns.mean[row], mean, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(today.returns.std[row], np.sqrt(std**2 + spread), rtol=1e-4)


def test_scenarios_are_those_of_their_generator(encoder: FactorVQVAEPredictorEncoder) -> None:
    window = make_window(CONFIG, SHAPE)

    def draw(seed: int, **how: float) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return scenarios(encoder, window.features, window.mask, 11, generator, **how)  # type: ignore[arg-type]

    state = torch.get_rng_state()
    codes, labels = draw(0)
    assert codes.shape == labels.shape == (6, 7, 11)
    assert codes.equal(draw(0)[0])
    assert not codes.equal(draw(1)[0])
    assert state.equal(torch.get_rng_state())
    assert ((codes >= 0) == window.mask[..., None]).all()
    assert labels.isfinite().equal(codes >= 0)
    assert draw(0, top_k=1)[0].equal(draw(1, top_k=1)[0])
    assert draw(0, temperature=1e-4)[0].equal(draw(0, top_k=1)[0])
    assert len(draw(0, temperature=100.0)[0].unique()) > len(draw(0, top_k=2)[0].unique())
    greedy = draw(0, top_k=1)[0][window.mask]
    with torch.no_grad():
        today = encoder.predict_next(encoder.read(window.features, window.mask), window.mask)
        likeliest = encoder.gpt.next(today.last).argmax(-1)
    assert greedy[:, SMALL.span - 1].equal(likeliest), "today's own label is known `span` days on"
    assert (greedy != greedy[:, :1]).any(), "what was drawn is not read on the next day"
    with pytest.raises(ValueError, match=r"temperature 0\.0"):
        draw(0, temperature=0.0)
    nobody = scenarios(encoder, window.features, window.mask & False, 2, torch.Generator())
    assert (nobody.codes == -1).all()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    pretrain(Experiment(TINY, data_of(), Optim(epochs=1, batch_size=8)), folder)
    return folder


SECOND = FactorVQVAEPredictor(run="", tokens=TINY, width=16, depth=1, heads=2)


def test_a_checkpoint_needs_the_first_run_no_more(run: Path, tmp_path: Path) -> None:
    data, copy = data_of(), tmp_path / "tokens"
    shutil.copytree(run, copy)
    config = replace(SECOND, run=str(copy))
    metrics = pretrain(Experiment(config, data, Optim(epochs=1, batch_size=8)), tmp_path / "second")
    shutil.rmtree(copy)
    assert np.isfinite(metrics["test"]["rank_ic"])
    checkpoint = Checkpoint.load(tmp_path / "second" / "model.safetensors")
    frozen = checkpoint.restore(config, data.pipeline.features, SCALING)
    first = Checkpoint.load(run / "model.safetensors")
    for name, value in frozen.encoder.stage.state_dict().items():  # type: ignore[union-attr]
        if name.split(".")[0] != "decoder":
            assert torch.as_tensor(first.weights[name]).equal(value), name
    how = Extraction(
        PROVENANCE, data.fit_end, TrainingFacts(LABEL, SCALING, data.days.train), 16, audit=Audit(cuts=2, days=8)
    )
    assert extract(frozen, data.panel, tmp_path / "states.safetensors", how).passed


def test_training_on_remembered_days_is_training(encoder: FactorVQVAEPredictorEncoder) -> None:
    data = data_of()
    config = Ready(tokens=TINY, width=16, depth=1, heads=2)
    torch.manual_seed(0)
    fresh = FactorVQVAEPredictor.build(config, data.store.shape).train()
    fresh.stage.quantizer.initialised.fill_(True)  # type: ignore[operator]
    days = torch.from_numpy(data.train_days[:12])
    plain = fresh(data.store.gather(days))
    fresh.use_windows(data.store)
    for _ in range(2):
        cached = fresh(data.store.gather(days.flip(0)))
        torch.testing.assert_close(cached.loss, plain.loss)
        assert cached.codes["returns"].numel() == plain.codes["returns"].numel()
    fresh.stage.extractor.features.weight.data.mul_(3.0)  # of a stage that is not frozen, memories are wrong
    torch.testing.assert_close(fresh(data.store.gather(days)).loss, plain.loss)
    assert not torch.allclose(fresh.eval()(data.store.gather(days)).loss, plain.loss)  # valid days are not cached


def test_a_run_reads_each_training_day_once(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    read = FactorVQVAEPredictorEncoder._read_all

    def counted(self: FactorVQVAEPredictorEncoder, window: Window) -> FirstStageOutput:
        if self.training:
            asked.extend(window.day.tolist())
        return read(self, window)

    monkeypatch.setattr(FactorVQVAEPredictorEncoder, "_read_all", counted)
    data = data_of()
    pretrain(Experiment(replace(SECOND, run=str(run)), data, Optim(epochs=3, batch_size=8)), tmp_path)
    assert len(asked) == len(set(asked))
    assert set(asked) <= set(data.train_days.tolist())
    assert len(asked) > len(data.train_days) - 8  # all but what three incomplete batches left out


def test_an_interrupted_run_remembers_the_same(run: Path, tmp_path: Path) -> None:
    experiment = Experiment(replace(SECOND, run=str(run)), data_of(), Optim(epochs=2, batch_size=8, save_every=5))
    pretrain(experiment, tmp_path / "whole")

    class KilledError(Exception):
        pass

    steps = iter(range(10**6))

    def kill(_: object) -> bool:
        if next(steps) == 1:  # before the second epoch
            raise KilledError
        return False

    with pytest.raises(KilledError):
        pretrain(replace(experiment, should_stop=kill), tmp_path / "killed")
    pretrain(experiment, tmp_path / "killed")
    one, other = (Checkpoint.load(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    for name, value in one.weights.items():
        assert torch.as_tensor(value).equal(torch.as_tensor(other.weights[name])), name


def test_a_first_stage_that_does_not_fit_is_refused(run: Path, tmp_path: Path) -> None:
    data = data_of()

    def begin(config: FactorVQVAEPredictor, **changes: object) -> None:
        config.begin(config.build(data.store.shape), replace(data, **changes))  # type: ignore[arg-type]

    named = replace(SECOND, run=str(run))
    begin(named)
    with pytest.raises(ValueError, match=r"nowhere.*no such file; train the first stage"):
        begin(replace(SECOND, run=str(tmp_path / "nowhere")))
    with pytest.raises(ValueError, match=r"learnt from label .*next_close.*this one .*close"):
        begin(named, label=Label("close", 1))
    with pytest.raises(ValueError, match=r"learnt from days until 2020-05-11, this one until 2020-0"):
        begin(named, days=replace(data.days, valid=slice(data.days.valid.start, data.days.valid.stop - 8)))
    with pytest.raises(ValueError, match=r"quantizer\.codebook has"):
        begin(replace(named, tokens=replace(TINY, quantizer=replace(TINY.quantizer, codebook_size=32))))
    shorter = replace(SPLIT, train=("2020-01-20", SPLIT.train[1]))
    later = prepare(bars(), data.pipeline.features, SCALING, 8, LABEL, shorter)
    with pytest.raises(ValueError, match="another scaling of the features, or fitted it on other days"):
        named.begin(named.build(later.store.shape), later)
    other = data_of(label=Label("next_open", 1))
    with pytest.raises(ValueError, match="label"):
        named.begin(named.build(other.store.shape), other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "width 16 is no multiple of the heads, 3"),
        ({"market_layers": 0}, "market_layers is 0 of depth 2"),
        ({"market_layers": 3}, "market_layers is 3 of depth 2"),
        ({"tokens": replace(SMALL, market_features=0)}, "market_features is 0, but the transformer looks"),
    ],
)
def test_a_size_that_does_not_fit_is_refused(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change).build(SHAPE)  # type: ignore[arg-type]
