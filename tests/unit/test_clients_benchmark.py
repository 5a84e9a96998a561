from benchmarks.clients import LATENCIES, Result, conclusion

CLIENTS = ("`requests` session (the floor)", "`KustoClient`", "`urllib3`", "`http.client`", "`aiohttp`")


def result(*best: float) -> Result:
    """The last of the clients as so many times the floor, at each latency; the others are as fast as the floor."""
    per_second = {
        latency: {client: 2_000.0 * (times if client == CLIENTS[-1] else 1.0) for client in CLIENTS}
        for latency, times in zip(LATENCIES, best, strict=True)
    }
    return Result(per_second, {client: 0.0005 / (4 if client == CLIENTS[-1] else 1) for client in CLIENTS}, 15_000.0)


def test_what_the_choice_costs_is_told_by_the_figures() -> None:
    text = " ".join(conclusion(result(8.0, 1.3, 1.05)).split())
    assert "costs 4.0 times the processor time of `aiohttp`" in text
    assert "costs 1.00 of the session's" in text
    assert "a latency of 16 ms" in text
    assert "from 100 ms on the best gets at most 1.1 times" in text


def test_a_choice_that_still_matters_is_told_as_one() -> None:
    assert "still gets 1.20 times the floor's rate at 100 ms" in conclusion(result(8.0, 1.05, 1.2))


def test_a_choice_that_never_matters_is_told_as_one() -> None:
    assert "from 0 ms on" in conclusion(result(1.0, 1.0, 1.0))
