"""Numbers on shares: fixed point with a bound and an error bound, and the functions of them."""
