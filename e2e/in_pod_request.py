"""What does one request from inside the cluster get?  Arguments: URL and JSON body (null for GET); prints JSON.

Runs in pods, where nothing but the standard library is sure.
"""

import json
import sys
import urllib.error
import urllib.request

url, body = sys.argv[1], json.loads(sys.argv[2])
request = urllib.request.Request(url, headers={"Content-Type": "application/json"})
if body is not None:
    request.data = json.dumps(body).encode()
try:
    answer = urllib.request.urlopen(request, timeout=30)
except urllib.error.HTTPError as error:
    answer = error
content = answer.read()
is_json = "json" in answer.headers.get("Content-Type", "")
print(
    json.dumps(
        {
            "status": answer.status,
            "headers": {name.lower(): value for name, value in answer.headers.items()},
            "bytes": len(content),
            "json": json.loads(content) if is_json else None,
        }
    )
)
