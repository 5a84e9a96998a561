"""The command line `tracker`, for people and pipelines: `docs/command-line.md` is its manual. Not deployed.

program         runs a command, and tells its errors: the one place that knows an exit status
commands        a module a command: its options, and what it prints
source          what a command asks of the tracker: by api_source, or by storage_source
facts           what it is told, in the API's shapes
submission      submitting in requests, by a journal, so that nothing is submitted twice
verdict         whether an operation and its resubmissions have ended, and how
checks, grants  what doctor looks at, and the commands that give what is missing
output, tables  how it is shown
"""
