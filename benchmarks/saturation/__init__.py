"""Load tests of services whose capacity is known, and how well it is told from them."""
