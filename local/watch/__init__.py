"""Looks at everything from outside while the app runs, and says what holds: for the demo and the soak."""
