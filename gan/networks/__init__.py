"""Networks of the two players and their building blocks."""
