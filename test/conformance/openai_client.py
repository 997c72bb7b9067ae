"""What the unmodified OpenAI SDK for Python must see. Prints {check: null or what went wrong} as JSON.

Usage: python openai_client.py BASE_URL MODEL
"""

import asyncio
import json
import sys
import traceback

import openai

base_url, model = sys.argv[1:3]
client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)
# An embedded model is sure of its answer, and comes to an end.
messages = [{"role": "user", "content": "What is the capital of Japan?"}]


def chat():
    reply = client.chat.completions.create(model=model, messages=messages, max_tokens=4)
    assert reply.object == "chat.completion", reply
    choice = reply.choices[0]
    assert choice.message.role == "assistant" and choice.message.content, reply
    assert choice.finish_reason == "length", reply
    assert reply.usage.completion_tokens == 4, reply
    assert reply._request_id.startswith("req_"), reply._request_id
    # Strict: the SDK itself lets any reply pass.
    type(reply).model_validate_json(reply.model_dump_json(), strict=True)


def chat_stream():
    stream = client.chat.completions.create(
        model=model, messages=messages, max_tokens=4, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 4, chunks[-1]
    assert all(chunk.usage is None for chunk in chunks[:-1]), chunks
    finishes = [chunk.choices[0].finish_reason for chunk in chunks[:-1]]
    assert finishes[-1] == "length" and not any(finishes[:-1]), finishes
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]), chunks


def stream_helper():
    # The helper takes a finish by length for a failure.
    with client.chat.completions.stream(model=model, messages=messages, temperature=0) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    assert final.choices[0].message.content, final


def two_choices():
    reply = client.chat.completions.create(model=model, messages=messages, max_tokens=3, n=2)
    assert [choice.index for choice in reply.choices] == [0, 1], reply


def unknown_model():
    try:
        client.chat.completions.create(model="nope", messages=messages)
    except openai.NotFoundError as error:
        assert error.code == "model_not_found" and error.param == "model", error.body
        assert error.type == "invalid_request_error", error.body
        assert error.request_id.startswith("req_"), error.request_id
    else:
        raise AssertionError("was answered")


def bad_request():
    try:
        client.chat.completions.create(model=model, messages=messages, temperature=3)
    except openai.BadRequestError as error:
        assert error.param == "temperature", error.body
    else:
        raise AssertionError("was answered")


def models():
    assert model in [entry.id for entry in client.models.list()]
    assert client.models.retrieve(model).object == "model"
    try:
        client.models.retrieve("org/nope")
    except openai.NotFoundError:
        pass
    else:
        raise AssertionError("was found")


def completions():
    reply = client.completions.create(model=model, prompt="One, two,", max_tokens=3)
    assert reply.object == "text_completion" and reply.choices[0].text, reply
    reply = client.completions.create(model=model, prompt=[504, 3575, 282], max_tokens=3)
    assert reply.usage.completion_tokens == 3, reply
    stream = client.completions.create(model=model, prompt="One, two,", max_tokens=3, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream)


def asynchronous():
    async def run():
        async with openai.AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as other:
            ask = lambda: other.chat.completions.create(model=model, messages=messages, max_tokens=3)
            replies = await asyncio.gather(*(ask() for _ in range(4)))
            assert all(reply.choices[0].message.content for reply in replies), replies
            stream = await other.chat.completions.create(model=model, messages=messages, stream=True)
            async for _ in stream:
                break
            await stream.close()

    asyncio.run(run())


checks = [
    chat,
    chat_stream,
    stream_helper,
    two_choices,
    unknown_model,
    bad_request,
    models,
    completions,
    asynchronous,
]
results = {}
for check in checks:
    try:
        check()
        results[check.__name__] = None
    except Exception:
        results[check.__name__] = traceback.format_exc(limit=3)
print(json.dumps(results))
