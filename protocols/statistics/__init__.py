"""Statistics as functions of opened integer sums: plan, local sums, finish; one family a file."""
