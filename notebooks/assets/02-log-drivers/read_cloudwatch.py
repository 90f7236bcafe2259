"""Print what CloudWatch Logs has in a group, one JSON object a line: read_cloudwatch.py GROUP"""

import json
import sys
import urllib.request

# The server of this lab takes any signature; what it is asked for stands in the header.
HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/logs/aws4_request",
}


def ask(what, **about):
    target = {"X-Amz-Target": f"Logs_20140328.{what}"}
    body = json.dumps(about).encode()
    request = urllib.request.Request("http://127.0.0.1:5000", body, {**HEADERS, **target})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


group = sys.argv[1]
for stream in ask("DescribeLogStreams", logGroupName=group)["logStreams"]:
    name = stream["logStreamName"]
    for event in ask("GetLogEvents", logGroupName=group, logStreamName=name)["events"]:
        print(json.dumps({"group": group, "stream": name, "message": event["message"]}))
