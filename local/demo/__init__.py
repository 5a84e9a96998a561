"""The demo: real files through the whole flow on this machine, shown while it happens, and checked at its end.

`python -m local.demo`, run by `./dev demo`. `data` and `plan` say what goes in, `stage` starts the parts, `upstream`
uploads and submits, `watch` reads tables, queues and books into `facts`, `screen` shows them, `report` judges them,
`summary` prints that, and `flow` does all of it in order.
"""
