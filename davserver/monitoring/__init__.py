"""How the server is: ready or not, and in figures. For probes and Prometheus, not for users."""

from davserver.monitoring.meters import Meters
from davserver.monitoring.pages import Monitoring

__all__ = ["Meters", "Monitoring"]
