"""What does one request from inside the cluster get?  Runs in a pod that has aiohttp; prints JSON.

The argument is JSON: method, url, and body (sent as JSON) or recording (a file of /recordings) with fields.
"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import aiohttp


async def answered(
    method: str, url: str, body: Any = None, recording: str = "", fields: dict[str, str] | None = None
) -> dict[str, Any]:
    form = None
    if recording:
        form = aiohttp.FormData(fields or {})
        content = Path("/recordings", recording).read_bytes()  # noqa: ASYNC240 - nothing else waits here
        form.add_field("audio_sample", content, filename=recording)
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.request(method, url, json=body, data=form, headers={"Cache-Control": "no-store"}) as answer,
    ):
        content = await answer.read()
        return {
            "status": answer.status,
            "headers": {name.lower(): value for name, value in answer.headers.items()},
            "bytes": len(content),
            "digest": hashlib.sha256(content).hexdigest(),
            "json": json.loads(content) if answer.content_type == "application/json" else None,
        }


print(json.dumps(asyncio.run(answered(**json.loads(sys.argv[1])))))
