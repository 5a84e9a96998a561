"""What goes wrong with the app's requests, each by its share of them."""

from dataclasses import replace

from local.adx_simulator import RequestFault

# Upstream's own submissions pass: what becomes of those is upstream's business.
APP = "AdxIngestionTracker"
# The app waits for 20 s between two bytes.
BEYOND_PATIENCE_SECONDS = 25.0

_FAULTS = (
    RequestFault(effect="error", request="status", status=429, retry_after="2", share=0.01),
    RequestFault(effect="error", request="status", status=429, share=0.003),
    RequestFault(effect="error", request="status", status=401, share=0.005),
    RequestFault(effect="error", request="status", status=500, share=0.01),
    RequestFault(effect="error", request="status", status=503, retry_after="1", share=0.01),
    RequestFault(effect="error", request="status", status=504, share=0.01),
    RequestFault(effect="error", request="status", status=520, share=0.01),
    RequestFault(effect="html", request="status", share=0.01),
    RequestFault(effect="html", request="status", status=200, share=0.01),
    RequestFault(effect="empty", request="status", share=0.01),
    RequestFault(effect="close", request="status", share=0.01),
    RequestFault(effect="trickle", request="status", seconds=0.004, share=0.01),
    RequestFault(effect="hang", request="status", seconds=3, share=0.005),
    RequestFault(effect="hang", request="status", share=0.001),
    RequestFault(effect="hide-failed", request="status", share=0.1),
    RequestFault(effect="hide-details", request="status", share=0.05),
    RequestFault(effect="error", request="submit", status=429, retry_after="1", share=0.03),
    RequestFault(effect="error", request="submit", status=429, share=0.02),
    RequestFault(effect="error", request="submit", status=503, share=0.03),
    RequestFault(effect="html", request="submit", share=0.02),
    RequestFault(effect="empty", request="submit", share=0.01),
    RequestFault(effect="close", request="submit", share=0.03),
    RequestFault(effect="trickle", request="submit", seconds=0.02, share=0.01),
    RequestFault(effect="hang", request="submit", seconds=2, share=0.01),
    # Taken, and the answer lost on the way: the first window of docs/reliability.md.
    RequestFault(effect="close", request="submit", accepted=True, share=0.08),
    RequestFault(effect="error", request="submit", status=504, accepted=True, share=0.04),
    RequestFault(effect="html", request="submit", status=200, accepted=True, share=0.04),
    RequestFault(effect="empty", request="submit", accepted=True, share=0.04),
    RequestFault(effect="hang", request="submit", seconds=BEYOND_PATIENCE_SECONDS, accepted=True, share=0.003),
    RequestFault(effect="error", request="configuration", status=503, share=0.3),
)
REQUEST_FAULTS = tuple(replace(fault, app=APP) for fault in _FAULTS)


def name_of(fault: RequestFault) -> str:
    """Returns a fault in a few words.

    Args:
        fault: The fault.
    """
    words: list[str] = [fault.request, fault.effect]
    if fault.effect in ("error", "html", "empty"):
        words.append(str(fault.http_status()))
    if fault.retry_after is not None:
        words.append("with Retry-After")
    if fault.effect == "hang":
        words.append("for ever" if fault.seconds is None else f"for {fault.seconds:g} s")
    if fault.accepted:
        words.append("although accepted")
    return " ".join(words)
