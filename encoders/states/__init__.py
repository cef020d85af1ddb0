"""States on disk: how several fits of an encoder become one file in one coordinate system."""
