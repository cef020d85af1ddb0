"""A variational autoencoder of the cross-section of returns: factors that are discovered."""
