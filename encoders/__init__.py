"""Deep encoders: windows of the past in, factor states out. No encoder sees a label outside its training loss."""

import lazy_loader

from market.moved import find_moved_modules

find_moved_modules()
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # the names are in __init__.pyi
