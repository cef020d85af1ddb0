"""From a frozen encoder to states on disk: extraction, the audit that has to pass first, and several fits stitched."""
