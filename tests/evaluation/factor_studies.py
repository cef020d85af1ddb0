"""A study of made-up models: one knows the planted factors, one has turned them, one is given sectors."""

from dataclasses import replace

import numpy as np

from evaluation.factor_study import FactorStudy, ModelResult, ReferenceFactors

NAMES = ("market", "value")
ASSETS = tuple(f"S<{n}>" for n in range(8))
ROWS = {"train": slice(0, 300), "valid": slice(305, 400), "test": slice(405, 700)}


def study(known: bool = True, fat: bool = False, seed: int = 0) -> FactorStudy:
    """Returns a study whose first model is right and whose second has its factors turned by 45 degrees."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(700, 2))
    if fat:
        factors *= rng.standard_t(3, size=(700, 1)) / 1.7
    loadings = np.column_stack([np.full(8, 0.7), np.repeat([0.5, -0.5], 4)])
    explained = 0.01 * factors @ loadings.T
    returns = explained + 0.01 * np.sqrt(1 - np.square(loadings).sum(axis=1)) * rng.normal(size=(700, 8))
    returns[0] = np.nan
    turn = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    drawn = 0.01 * (rng.normal(size=(4000, 2)) @ loadings.T + 0.5 * rng.normal(size=(4000, 8)))
    history = [{"epoch": k, "valid": {"loss": {"reconstruction": 1.0 / (k + 1), "kl": 0.1}}} for k in range(4)]
    right = ModelResult(
        "PCA", -factors[:, ::-1], -loadings[:, ::-1], explained, drawn, history[:1], (0.01, (-0.02, 0.04))
    )
    turned = ModelResult("VAE", factors @ turn, loadings @ turn, 0.9 * explained, drawn, history)
    sector = replace(
        turned, name="sector VAE", given="the mean returns of 3 sectors", rebuilt=np.full((700, 8), np.nan)
    )
    return FactorStudy(
        title="A <study>",
        lead="a lead",
        facts=(("panel", "made up"),),
        dates=np.datetime64("2010-01-04") + np.arange(700),
        assets=ASSETS,
        returns=returns,
        parts=ROWS,
        models=(right, turned, sector),
        known=ReferenceFactors(NAMES, factors, loadings) if known else None,
        config="x = '<script>'",
    )
