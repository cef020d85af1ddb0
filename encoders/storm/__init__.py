"""STORM: a dual vector-quantised autoencoder of a market, with a factor model on top."""
