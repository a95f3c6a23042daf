"""Private linkage: which rows are the same person's, as shares, and sums over the linked rows.

tokens   keys from text; uniqueness          hashing  size classes, bins, placement
oprf     blinded Diffie-Hellman              okvs     tables that show nothing of their keys
opprf    one leader, one sender, one pass    cohort   all pairs, passes and tables of a leader
sums     products over the linked rows
"""
