"""The app in the local host, on Azurite, against the ADX simulator: one operation of some thousand blobs."""

from collections import Counter

from local.adx_simulator import AdxSimulator, Crowd
from tests.support.world import DATABASE, World, eventually

BLOBS = 6_000
"""Their details have 1.2 MiB, which are read from disk, and their rows are written in parts."""


def test_an_operation_of_some_thousand_blobs_is_settled(world: World, adx: AdxSimulator) -> None:
    crowd = Crowd(database=DATABASE, table=world.table, count=1, prefix="large-", blobs=BLOBS, finished_share=1.0)
    adx.plant_many(crowd)
    world.start_host()
    operation_id = crowd.operation_id(0)
    world.post({"operationId": operation_id})
    row = world.settled(operation_id)
    assert (row["State"], row["Succeeded"], row["Failed"], row["InProgress"]) == ("Succeeded", BLOBS, 0, 0)
    blobs = world.blobs(operation_id)
    assert Counter(blob["Status"] for blob in blobs) == {"Succeeded": BLOBS}
    assert len({blob["Url"] for blob in blobs}) == len({blob["SourceId"] for blob in blobs}) == BLOBS
    eventually(lambda: not world.outstanding(), "the end of the watch")
