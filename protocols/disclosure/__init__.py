"""What may open: thresholds on counts, tested on shares before anything is revealed."""
