"""The torch twin of the money: one day of many accounts, with the gradients of wealth by what was asked for."""

from agents.differentiable.market import DifferentiableMarket, Held, Traded

__all__ = ["DifferentiableMarket", "Held", "Traded"]
