"""What is claimed here, and the modules that measured it: one a claim, its CSV beside it."""
