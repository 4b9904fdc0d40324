"""A client that knows an API by its OpenAPI document alone: every call is looked up there, everything sent and received is checked against it."""

from collections.abc import Mapping
from typing import Any

import httpx
import jsonschema_rs

JSON = "application/json"


class Document:
    """The document and the ways it describes."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=90, trust_env=False)
        self.told: dict[str, Any] = self._http.get("/openapi.json").json()
        self._operations = {
            operation["operationId"]: (method.upper(), path, operation)
            for path, methods in self.told["paths"].items()
            for method, operation in methods.items()
        }

    def close(self) -> None:
        self._http.close()

    def call(self, operation_id: str, body: Any = None, *, expects: int | None = None, **given: Any) -> httpx.Response:
        """One operation; its parameters by their names (`_` for `-`). The answer is one that the document has, in its form."""
        method, path, operation = self._operations[operation_id]
        query, headers = {}, {}
        known = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
        for name, value in given.items():
            parameter = known.pop(next(one for one in known if one.replace("-", "_") == name))
            self.valid(value, parameter["schema"])
            match parameter["in"]:
                case "path":
                    path = path.replace("{" + parameter["name"] + "}", str(value))
                case "query":
                    query[parameter["name"]] = value
                case "header":
                    headers[parameter["name"]] = value
        assert not [name for name, parameter in known.items() if parameter.get("required")], f"{operation_id} needs more"
        if body is not None:
            self.valid(body, operation["requestBody"]["content"][JSON]["schema"])
        answer = self._http.request(method, path, params=query, headers=headers, json=body)
        self._described(operation_id, operation, answer)
        assert expects is None or answer.status_code == expects, (operation_id, answer.status_code, answer.text)
        return answer

    def order(self, kind: str, **values: Any) -> dict[str, Any]:
        """The body of an order of this kind, as its schema has it."""
        _, _, operation = self._operations["placeOrder"]
        form = operation["requestBody"]["content"][JSON]["schema"]
        schema = self._resolved({"$ref": form["discriminator"]["mapping"][kind]})
        constants = {name: field["const"] for name, field in schema["properties"].items() if "const" in field}
        assert set(values) <= set(schema["properties"]), (kind, values)
        assert set(schema.get("required", [])) <= {*values, *constants}, (kind, schema["required"])
        return constants | values

    def kinds(self) -> set[str]:
        """Every kind of order that there is."""
        _, _, operation = self._operations["placeOrder"]
        return set(operation["requestBody"]["content"][JSON]["schema"]["discriminator"]["mapping"])

    def valid(self, value: Any, schema: Mapping[str, Any]) -> None:
        """Raises when the document would not have it."""
        jsonschema_rs.validator_for({**schema, "components": self.told["components"]}).validate(value)

    def _described(self, operation_id: str, operation: Mapping[str, Any], answer: httpx.Response) -> None:
        told = operation["responses"].get(str(answer.status_code))
        assert told is not None, f"{operation_id} answered {answer.status_code}, which the document does not know: {answer.text}"
        told = self._resolved(told) if "$ref" in told else told
        for name, header in told.get("headers", {}).items():
            assert not header.get("required") or name in answer.headers, (operation_id, name)
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if answer.content:
            self.valid(answer.json(), told["content"][kind]["schema"])

    def _resolved(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.told
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found
