"""ADX's REST API: asking for status and submitting. Only this package knows requests and azure-identity's tokens."""
