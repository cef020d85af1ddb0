"""The torch twin of the money: one day of many accounts, with the gradients of wealth by what was asked for."""

from agents.differentiable.market import DifferentiableMarket, HeldWeights, TradedDay

__all__ = ["DifferentiableMarket", "HeldWeights", "TradedDay"]
