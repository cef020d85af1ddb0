"""FactorVQVAE: a vocabulary of realised returns (first stage), and a transformer that predicts the next token."""
