"""What is claimed here, and the scripts that measured it: a script a claim, its CSV beside it."""
