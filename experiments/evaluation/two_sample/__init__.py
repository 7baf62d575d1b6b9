"""Two-sample tests with power: are these samples from the distribution of those fields?"""
