"""What `tools.compare` compares: forecasts of encoders, trading of agents, and what states add to one agent."""
