"""The three tables. Only this package knows azure-data-tables."""
