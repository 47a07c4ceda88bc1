"""What other systems know of services, as a proposed difference to ``services.yaml``."""

from capacity.catalog.proposal.propose import SOURCES, Proposal, propose_services

__all__ = ["SOURCES", "Proposal", "propose_services"]
