"""Pure cryptographic protocols: no network, no clock, no disk, no ambient randomness."""
