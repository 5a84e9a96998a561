"""The soak: the whole app for minutes or hours with every fault at once and hosts that die, and then its books.

`python -m local.soak`, run by `./dev soak`. `plan` says how long and how hard, `fates` what upstream's blobs are bound
to meet, `faults` what goes wrong with requests. `upstream` submits and posts, `hosts` runs the app and kills it, `run`
does all of it in order and hands what is known at the end, as `evidence`, to `judgement`; `summary` tells it.
"""
