"""Order on shares: quantiles, oblivious shuffles, sorts and prefix sums.

quantile  pooled quantiles of any number of rows, by bisection on a public grid
tally     the signs of a few sums, and the carry of bits
shuffle   rows in an order that no n - 1 parties know
sort      rows in the order of a shared key; ranks
prefix    sums and maxima of all rows before a row, also within segments
"""
