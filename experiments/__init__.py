"""One module per question; results/ holds what they measured, README.md what follows from it."""
