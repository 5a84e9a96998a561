"""The demo: real files through the whole flow on this machine, shown while it happens, and checked at its end.

`python -m local.demo`, run by `./dev demo`. `data` and `plan` say what goes in, `stage` starts the parts, `upstream`
uploads and submits, `local.watch` reads tables, queues and books, `facts` says what has become of the files, `screen`
shows it, `report` judges it, `summary` prints that, and `flow` does all of it in order.
"""
