"""Every bound that more than one room needs, with its reason. A bound of one module stays in it.

A study, a dictionary and a policy come from people who may be careless or hostile, and are read by
every member: each has a size, a depth and a count that it cannot exceed.
"""

from __future__ import annotations

# --- what people write ---
STUDY_BYTES_MAX = 64 * 2**10  # one entry of the record holds it; the longest sensible one is 8 KiB
DICTIONARY_BYTES_MAX = 512 * 2**10  # one entry of the record holds it, well under a frame
POLICY_BYTES_MAX = 64 * 2**10  # a consent carries it
SETTINGS_BYTES_MAX = 64 * 2**10  # read once at the start
TOML_DEPTH_MAX = 8  # none of our files nests deeper than four tables
NAME_CHARACTERS_MAX = 64  # fits a table's column and, in UTF-8, a file name
TEXT_CHARACTERS_MAX = 2000  # titles, questions, purposes, licences: what a person reads at once
DECIMAL_DIGITS_MAX = 40  # more than a float64 tells apart; stops 1e999999 from filling memory

# --- the study ---
PARTIES_MIN = 2  # alone there is nothing to compute jointly
PARTIES_MAX = 10  # every pair holds a link and oblivious transfers: the cost grows with the square
ALIASES_MAX = 10  # each linked one is a star of set protocols
STATISTICS_MAX = 64  # each has units of its own in one certificate
PARAMETER_ITEMS_MAX = 4097  # edges of a histogram: 4096 bins
LINK_PASSES_MAX = 8  # each pass is a whole round of set protocols
LINK_PARTS_MAX = 8  # columns joined into one key

# --- expressions ---
WHERE_CHARACTERS_MAX = 2000  # one line that a steward reads before agreeing
WHERE_DEPTH_MAX = 32  # parsers and evaluators recurse once a level
WHERE_ITEMS_MAX = 500  # the values of one `in [..]`
FORMULA_CHARACTERS_MAX = 2000  # the same reading
FORMULA_TERMS_MAX = 64  # the normal equations grow with the square
FORMULA_FACTORS_MAX = 4  # columns in one interaction: each multiplies the cells

# --- the data ---
COLUMNS_MAX = 1000  # a dictionary that a person can still review
LEVELS_MAX = 1000  # more is an identifier, not a category
MISSING_SPELLINGS_MAX = 20  # spellings of "no value" in one data set
DECIMALS_MAX = 15  # decimal digits that a float64 keeps
ROWS_MAX_DEFAULT = 2**20  # 1,048,576: with 64-bit sums it leaves room for squares of 20-bit values
ROWS_MAX_MAX = 2**26  # 67 million; a message a row would be gigabytes, so nobody waits for more

# --- the record and the wire ---
FRAME_BYTES_MAX = 2**20  # one frame; a slow link still passes it within a keep-alive
ENTRIES_BATCH_MAX = 256  # entries in one message
ENTRIES_BYTES_MAX = 900 * 2**10  # entries in one message, so that it fits a frame with its head
MESSAGE_BYTES_MAX = 32 * 2**20  # one mail of a protocol; larger work loops over bins
