"""Checks the dashboard's files as they are: types by TypeScript's compiler, lints and formatting by Biome.

`python -m local.page_check` does, run by `./dev check`. Nothing of it is deployed, and the page needs none of it.
"""
