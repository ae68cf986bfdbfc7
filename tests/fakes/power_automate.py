"""A flow whose trigger is "When an HTTP request is received", as far as its caller sees it."""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft4Validator

from leads.schema import DEFAULT_SCHEMA
from tests.fakes.server import Answer, FakeCrm, Seen

PATH = "/powerautomate/automations/direct/workflows/5d3e2f1a0b9c48d7a6f5e4d3c2b1a098/triggers/manual/paths/invoke"
SIGNATURE = "Zm9yLXRlc3RzLW9ubHktbm90LWEtc2lnbmF0dXJl_-A"

# Microsoft's published schema of the body, and how a maker who wants to be sure tightens it: every name required.
MICROSOFTS: dict[str, Any] = DEFAULT_SCHEMA
_USER = MICROSOFTS["properties"]["UserDetails"]
STRICT: dict[str, Any] = {
    **MICROSOFTS,
    "properties": {
        **MICROSOFTS["properties"],
        "UserDetails": {**_USER, "required": list(_USER["properties"])},
        "LeadId": {"type": "string"},
    },
    "required": [*MICROSOFTS["properties"], "LeadId"],
}


class FakeFlow(FakeCrm):
    """`runs`: the body of each run. `schema`: what the trigger demands. `responds`: the flow has a Response action."""

    def __init__(
        self, *, schema: Mapping[str, Any] = MICROSOFTS, responds: bool = False, tls: bool = False
    ) -> None:
        self.schema, self.responds = schema, responds
        self.exists = self.enabled = self.anyone = True
        self.runs: list[dict[str, Any]] = []
        super().__init__(tls=tls)

    @property
    def trigger(self) -> str:
        """The HTTP URL that the designer shows."""
        return f"{self.url}{PATH}?api-version=1&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIGNATURE}"

    def answer(self, request: Seen) -> Answer:
        if refusal := self._refusal(request):
            status, code, message = refusal
            return Answer(status, {"error": {"code": code, "message": message}})
        self.runs.append(request.json())
        run = {"x-ms-workflow-run-id": f"0858451234567890123456789{len(self.runs):04}CU27"}
        return Answer(200, {"status": "stored"}, run) if self.responds else Answer(202, b"", run)

    def _refusal(self, request: Seen) -> tuple[int, str, str] | None:
        if request.path != PATH or not self.exists:
            return 404, "WorkflowNotFound", "The workflow could not be found."
        if not self.anyone:
            return (
                401,
                "DirectApiAuthorizationRequired",
                "The request must be authenticated only by OAuth scheme.",
            )
        if "sig" not in request.query:
            words = "The request must be authenticated only by Shared Access scheme."
            return 401, "DirectApiAuthorizationRequired", words
        if request.query["sig"] != SIGNATURE:
            # As some gateways do, it quotes what was asked.
            return 401, "AuthorizationFailed", f"The signature in {request.target} does not match."
        if request.method != "POST":
            return 405, "TriggerRequestMethodNotValid", "Expected 'POST'."
        if not self.enabled:
            words = (
                "Could not execute workflow trigger 'manual' with state 'Disabled': trigger is not enabled."
            )
            return 400, "WorkflowTriggerIsNotEnabled", words
        problem = next(Draft4Validator(self.schema).iter_errors(request.json()), None)
        if problem:
            words = (
                f"The input body for trigger 'manual' did not match its schema definition: {problem.message}"
            )
            return 400, "TriggerInputSchemaMismatch", words
        return None
