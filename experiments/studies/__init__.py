"""Studies: experiments that train nothing and hold nothing against a solver. One module per study."""
