"""Two-sample tests with power: are these samples from the law of those fields?"""
