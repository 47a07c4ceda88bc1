"""What people do around a promotion: whether everything is ready before the freeze, and who does what until when."""

from capacity.operations.readiness import Item, Readiness, check_readiness

__all__ = ["Item", "Readiness", "check_readiness"]
