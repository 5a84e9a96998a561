"""The HTTP API: its endpoints, and what answers them."""

from shared.api.endpoint import Backend, Endpoint, answer
from shared.api.openapi import DOCUMENT, ENDPOINTS
from shared.api.operations import ADD, GET, LIST, LIST_BLOBS
from shared.api.overview import ERROR_CODES, HEALTH, SUMMARY
from shared.api.redrives import REDRIVE_BLOBS, REDRIVE_MESSAGES
from shared.api.request import Answer, Request

__all__ = [
    "ADD",
    "DOCUMENT",
    "ENDPOINTS",
    "ERROR_CODES",
    "GET",
    "HEALTH",
    "LIST",
    "LIST_BLOBS",
    "REDRIVE_BLOBS",
    "REDRIVE_MESSAGES",
    "SUMMARY",
    "Answer",
    "Backend",
    "Endpoint",
    "Request",
    "answer",
]
