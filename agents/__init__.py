"""Agents: stable-baselines3 configurations, policies that trade, and classical policies behind the same predict."""

import lazy_loader

from market.moved import find_moved_modules

find_moved_modules()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # the names are in __init__.pyi
