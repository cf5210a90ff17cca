"""API Gateway's two event formats, with the members that proxy integrations send."""

import json
from dataclasses import dataclass

SOURCE_IP = "203.0.113.9"

ROUTES = {
    "createProduct": ("POST", "/categories/{id}/products"),
    "updateProduct": ("PATCH", "/products/{id}"),
    "deleteProduct": ("DELETE", "/products/{id}"),
    "createCategory": ("POST", "/categories"),
    "updateCategory": ("PATCH", "/categories/{id}"),
    "deleteCategory": ("DELETE", "/categories/{id}"),
}


@dataclass(frozen=True)
class Call:
    """What a client of the shop sends."""

    function: str
    id: str | None = None
    body: dict | None = None

    @property
    def route(self) -> tuple[str, str]:
        return ROUTES[self.function]

    @property
    def path(self) -> str:
        return self.route[1].replace("{id}", self.id or "")


def rest_event(call: Call, token: str | None) -> dict:
    """Payload format 1.0: header names as sent, every map there or null."""
    headers = {"Content-Type": "application/json", "X-Forwarded-For": SOURCE_IP}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    method, resource = call.route
    return {
        "resource": resource,
        "path": call.path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"id": call.id} if call.id else None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "ymy8tbxw7b",
            "httpMethod": method,
            "identity": {"sourceIp": SOURCE_IP, "userAgent": "e2e"},
            "path": f"/prod{call.path}",
            "resourcePath": resource,
            "stage": "prod",
        },
        "body": json.dumps(call.body) if call.body is not None else None,
        "isBase64Encoded": False,
    }


def http_event(call: Call, token: str | None) -> dict:
    """Payload format 2.0: header names in lower case, what is empty is left out."""
    headers = {"content-type": "application/json", "x-forwarded-for": SOURCE_IP}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    method, resource = call.route
    event = {
        "version": "2.0",
        "routeKey": f"{method} {resource}",
        "rawPath": call.path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "ymy8tbxw7b",
            "http": {
                "method": method,
                "path": call.path,
                "protocol": "HTTP/1.1",
                "sourceIp": SOURCE_IP,
                "userAgent": "e2e",
            },
            "routeKey": f"{method} {resource}",
            "stage": "$default",
        },
        "isBase64Encoded": False,
    }
    if call.id:
        event["pathParameters"] = {"id": call.id}
    if call.body is not None:
        event["body"] = json.dumps(call.body)
    return event


FORMATS = {"rest": rest_event, "http": http_event}
