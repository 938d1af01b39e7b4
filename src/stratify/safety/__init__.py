"""Data only: the hazard log (``hazards.yaml``), read by ``stratify.hazards``."""
