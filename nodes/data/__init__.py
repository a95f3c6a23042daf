"""Rows of one organisation: files, typed snapshots, row flags, linkage keys. Rows never leave here.

`source` reads CSV and Parquet, `cells` turns cells into typed values, `dataset` checks a file
against its dictionary, `filter` evaluates a `where`, `keys` hands out linkage keys, `derive` drafts
dictionaries for rehearsals.
"""
