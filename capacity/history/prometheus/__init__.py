"""A Prometheus server as evidence: asked over its HTTP interface, taken into ``traffic`` day by day."""

from capacity.history.prometheus.client import Prometheus, Series
from capacity.history.prometheus.days import ask_traffic
from capacity.history.prometheus.ingest import ingest_prometheus
from capacity.history.prometheus.questions import Question, traffic_questions

__all__ = ["Prometheus", "Question", "Series", "ask_traffic", "ingest_prometheus", "traffic_questions"]
