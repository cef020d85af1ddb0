"""From a frozen encoder to states on disk: extraction, and the audit that has to pass before anything is written."""
