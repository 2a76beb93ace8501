"""What does a Redis say of itself?  ``ports.RedisProbe`` over the network: one server, Sentinels, a cluster, TLS, ACL users."""

from timbre_operator.redis_probe.probe import NetworkRedisProbe

__all__ = ["NetworkRedisProbe"]
