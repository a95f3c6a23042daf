"""Correlations that members make for one another while their nodes are idle: made, kept, used."""
