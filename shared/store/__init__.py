"""The four tables. Only this package knows azure-data-tables."""

TABLES = ("IngestionOperations", "IngestionBlobs", "OutstandingOperations", "IngestionRedrives")
