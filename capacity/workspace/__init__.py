"""The folder of a company: settings, words, tables, plans, journal and lessons, as known before one day."""

from capacity.workspace.create import create_workspace
from capacity.workspace.template import LESSONS_FILE, PROMOTIONS_FILE, SERVICES_FILE, SETTINGS_FILE
from capacity.workspace.workspace import Workspace

__all__ = [
    "LESSONS_FILE",
    "PROMOTIONS_FILE",
    "SERVICES_FILE",
    "SETTINGS_FILE",
    "Workspace",
    "create_workspace",
]
