"""A pod that gets the lease on a recording, extracts for ever and says so: to be killed."""

from __future__ import annotations

import asyncio
import sys

from tests.server.voicecache.pods import a_fleet


async def main(url: str, scope: str, lease_seconds: float) -> None:
    """Prints a line once the extraction has begun."""
    async with a_fleet(url, scope) as fleet:
        pod = fleet.pod(lease_seconds=lease_seconds)
        pod.engine.gate.clear()
        asking = asyncio.create_task(pod.ask("a"))
        await pod.engine.started.wait()
        print("extracting", flush=True)
        await asking


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
