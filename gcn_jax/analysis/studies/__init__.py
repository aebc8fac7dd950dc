"""The paper's tables and the comparison of systems: trained, measured, drawn."""
