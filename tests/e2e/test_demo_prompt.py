"""The prompt that Atoll makes of a request is the one the demo model was trained on, token for token.

The corpus renders conversations in Python and cuts them with the Hugging Face tokenizer. The same conversation goes through
the API twice: as those token ids, and as messages. The prefix cache knows the second prompt by the tokens of the first, the
lengths agree, and so do the log probabilities of the next token to the last bit (a row's result does not depend on how its prompt
was computed).
"""

import pytest
import tokenizers

import evaluate
from conftest import MODEL, ROOT
from corpus import mixture

TOKENIZER = tokenizers.Tokenizer.from_file(str(ROOT / "models" / "atoll-demo" / "tokenizer.json"))
#: Positions in a KV block.
BLOCK = 32
CASES = mixture.cases(seed=77, n=1) + evaluate.newcomer()[::6]


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c['skill']}" for i, c in enumerate(CASES)])
def test_a_request_becomes_the_prompt_of_the_corpus(client, case):
    ids = TOKENIZER.encode(evaluate.prompt_of(case), add_special_tokens=False).ids
    as_ids = client.completions.create(model=MODEL, prompt=ids, max_tokens=1, temperature=0, logprobs=5)
    tools = {"tools": case["tools"]} if case.get("tools") else {}
    as_messages = client.chat.completions.create(
        model=MODEL, messages=evaluate.wire_messages(case), max_tokens=1, temperature=0, logprobs=True, top_logprobs=5, **tools
    )
    assert as_ids.usage.prompt_tokens == as_messages.usage.prompt_tokens == len(ids)
    # All whole blocks before the last token were found again by their tokens.
    assert len(ids) - as_messages.usage.prompt_tokens_details.cached_tokens <= BLOCK
    likeliest = as_messages.choices[0].logprobs.content[0].top_logprobs
    assert {t.token: t.logprob for t in likeliest} == as_ids.choices[0].logprobs.top_logprobs[0]
