"""How do autoscalers read the series?

The HPA through ``custom.metrics.k8s.io``, which the API server forwards to the operator; KEDA, which cannot read that API, as
plain JSON on the admin port.

- ``documents``: what is answered, to the letter.  ``application``: to which requests.
- ``front_proxy``: who may ask.  ``serving``: the listener, its certificate and its trust, both exchanged while it runs.
- ``series_routes``: the JSON for KEDA.
"""

from timbre_operator.metricsapi.front_proxy import FrontProxy, front_proxy_of
from timbre_operator.metricsapi.series_routes import build_routes
from timbre_operator.metricsapi.serving import serve_metrics_api

__all__ = ["FrontProxy", "build_routes", "front_proxy_of", "serve_metrics_api"]
