"""Parts that several encoders share: network layers, losses, and normal distributions of returns."""
