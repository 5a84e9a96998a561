"""A Table Storage in memory, in a process of its own, that finds rows as the service does: by an index on their keys.

Azurite looks at every row of a table at every query, and takes some thousand rows a second: that would hide what a
benchmark of the app is to measure. Here a query costs what its keys name, as the service documents it
(https://learn.microsoft.com/azure/storage/tables/table-storage-design-for-query). It counts requests and rows, takes
any credential, and forgets everything at its end. ``tests/storage/test_table_service.py`` compares it with Azurite.

What it leaves out: authentication, batches over 4 MiB, quotas, a page that ends early, ``or``, ``not`` and brackets in
``$filter``, and listing and deleting tables.
"""

from benchmarks.table_service.client import TableService

__all__ = ["TableService"]
