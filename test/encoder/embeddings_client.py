"""What the unmodified OpenAI SDK for Python must see. Prints {check: null or what went wrong} as JSON.

Usage: python embeddings_client.py BASE_URL MODEL
"""

import json
import math
import sys
import traceback

import openai

base_url, model = sys.argv[1:3]
client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=0)


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def default():
    # The SDK asks for base64 and decodes it.
    reply = client.embeddings.create(model=model, input=["A man eats.", "A man is eating.", "The moon."])
    a, b, c = (item.embedding for item in reply.data)
    assert [item.index for item in reply.data] == [0, 1, 2], reply
    assert all(isinstance(x, float) for x in a) and len(a) == 384, a[:3]
    assert cosine(a, b) > 0.8 > 0.5 > cosine(a, c), (cosine(a, b), cosine(a, c))
    assert reply.usage.prompt_tokens == reply.usage.total_tokens > 0, reply.usage
    type(reply).model_validate_json(reply.model_dump_json(), strict=True)


def floats():
    by_default = client.embeddings.create(model=model, input="A man eats.").data[0].embedding
    as_floats = client.embeddings.create(model=model, input="A man eats.", encoding_format="float").data[0].embedding
    assert max(abs(x - y) for x, y in zip(by_default, as_floats)) < 1e-8


def tokens():
    reply = client.embeddings.create(model=model, input=[[101, 7592, 102], [101, 2088, 102]])
    assert len(reply.data) == 2 and reply.usage.prompt_tokens == 6, reply.usage


def dimensions():
    vector = client.embeddings.create(model=model, input="A man eats.", dimensions=32).data[0].embedding
    assert len(vector) == 32 and abs(math.hypot(*vector) - 1) < 1e-5, vector


def too_long():
    try:
        client.embeddings.create(model=model, input=["fine", "word " * 400])
    except openai.BadRequestError as error:
        assert error.param == "input[1]" and error.code == "context_length_exceeded", error
        return
    raise AssertionError("no error")


results = {}
for check in (default, floats, tokens, dimensions, too_long):
    try:
        check()
        results[check.__name__] = None
    except Exception:
        results[check.__name__] = traceback.format_exc(limit=2)
print(json.dumps(results))
