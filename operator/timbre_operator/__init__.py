"""Timbre's operator: one ``VoiceService`` object becomes a running, monitored, autoscaled voice service.

The law of the package, from the door inwards; an arrow may be followed downwards only, and siblings that
are joined by ``|`` do not know each other (``.importlinter`` enforces it)::

    __main__ > app > handlers > reconciler
             > ( cluster | metricsapi | scraping | redis_probe | desired | plan | status | scaling | rights | service_metrics )
             > kinds > ports > observed > ( metrics | settings | voiceservice ) > errors

``desired``, ``plan``, ``status`` and ``scaling`` are pure: no kopf, asyncio, os, time or logging, and ``now``
is an argument.  Every event ends in one level-based ``converge(name)``: observe, desired, plan, apply, status.
Neither product imports the other: both know ``timbre_contract`` only.
"""
