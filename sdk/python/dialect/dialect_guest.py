"""One request and its answer. The host makes a fresh instance for each, so state is nobody else's.

To answer with an error, raise `Err(types.Error(...))` from `decode`; the host then asks `fail` to say it
in this API's own shape. Any other exception is a fault of the plugin.
"""

from componentize_py_types import Err
from wit_world.exports import dialect_guest
from wit_world.imports import types

TEXT = [types.Header("content-type", "text/plain; charset=utf-8")]


class Exchange(dialect_guest.Exchange):
    def __init__(self, request: types.HttpRequest):
        self.request = request

    def decode(self) -> types.Operation:
        """From the client's request to the canonical one."""
        model = dict(self.request.path_params)["model"]
        try:
            text = self.request.body.decode()
        except UnicodeDecodeError:
            raise Err(invalid("body", "The prompt is not UTF-8.")) from None
        part = types.Part(types.PartContent_Text(text), None, None)
        message = types.Message(types.Role.USER, [part], None, None, None)
        return types.Operation_Generate(generate(model, [message]))

    def head(self) -> types.ResponseHead:
        return types.ResponseHead(200, TEXT)

    def encode(self, events: list[types.Event]) -> bytes:
        """From canonical events to the client's bytes, batch by batch as the model speaks."""
        return "".join(event.value.text for event in events if isinstance(event, types.Event_TextDelta)).encode()

    def reply(self, outcome: types.OperationResult) -> types.HttpResponse:
        raise Err(types.Error(types.ErrorKind_Internal(), "This API only generates.", None, None, None))

    def fail(self, reason: types.Error) -> types.HttpResponse:
        return types.HttpResponse(types.ResponseHead(status_of(reason.kind), TEXT), reason.message.encode())


def invalid(param: str, message: str) -> types.Error:
    return types.Error(types.ErrorKind_InvalidArgument(), message, param, None, None)


def status_of(kind: types.ErrorKind) -> int:
    if isinstance(kind, (types.ErrorKind_ModelNotFound, types.ErrorKind_NotFound)):
        return 404
    if isinstance(kind, types.ErrorKind_Overloaded):
        return 503
    if isinstance(kind, (types.ErrorKind_Internal, types.ErrorKind_PluginFault)):
        return 500
    return 400


def generate(model: str, messages: list[types.Message]) -> types.GenerateRequest:
    """A request that leaves everything else to the host and the model."""
    return types.GenerateRequest(
        model=model,
        prompt=types.Prompt_Conversation(messages),
        tools=[],
        tool_choice=types.ToolChoice_Auto(),
        parallel_tool_calls=None,
        max_tool_calls=None,
        format=types.OutputFormat_Text(),
        reasoning=types.ReasoningOptions(
            types.ReasoningMode.UNSET, None, None, types.ReasoningVisibility.FULL),
        sampling=types.Sampling(
            temperature=None, top_k=None, top_p=None, min_p=None, typical_p=None, repetition_penalty=None,
            repeat_last_n=None, presence_penalty=None, frequency_penalty=None, logit_bias=[], seed=None,
            ignore_eos=False),
        max_output_tokens=None,
        choices=1,
        best_of=None,
        stop=[],
        logprobs=None,
        overflow=types.Overflow.REFUSE,
        state=types.State(
            store=False, previous_response_id=None, conversation_id=None, background=False, transient_messages=0),
        cache=types.CacheOptions(None, None),
        keep_alive=None,
        streaming=types.Streaming(enabled=True, include_usage=False),
        template_variables=None,
        metadata=[],
        end_user=None,
        unconsumed=None,
        ext=None,
    )
