"""The mixture: which skills, in what shares, in conversations of which shape.

`stream(seed, n)` yields training conversations; `cases(seed, n)` yields evaluation cases by skill, made from the
held-out parts. A conversation is `{"messages", "tools"?, "skill", "thinking"}`.
"""

import json

from . import atoll, copying, extract, stories, talk, tools, world
from . import strings as S
from . import words as W
from .draw import EVAL, Draw

#: Share of conversations led by each group.
SHARES = {"copy": 33, "json": 13, "tools": 20, "atoll": 11, "talk": 9, "world": 10, "stories": 5}


def weighted(table):
    total, out = 0.0, []
    for item, w in table:
        total += w
        out.append((total, item))
    return total, out


TABLES = {
    "copy": weighted(copying.SKILLS),
    "json": weighted(extract.SKILLS),
    "world": weighted(world.SKILLS),
    "stories": weighted(stories.SKILLS),
    "atoll": weighted([(atoll.ask, 1)]),
    "talk": weighted([(talk.small_talk, 6), (talk.refuse_code, 1.5), (talk.refuse_unknown, 2.5), (talk.refuse_action, 1), (talk.remark, 1), (talk.unclear, 0.5)]),
}
GROUPS = weighted([(k, v) for k, v in SHARES.items()])
#: Groups of a turn inside a longer conversation.
TURN_GROUPS = weighted([(k, v) for k, v in SHARES.items() if k != "tools"])


def choose(d, table):
    total, rows = table
    x = d.random() * total
    for limit, item in rows:
        if x < limit:
            return item
    return rows[-1][1]


HELPFUL = (
    "You are a helpful assistant.", "You are a helpful assistant.", "You are a helpful, honest assistant.", "Answer briefly.", "You are an assistant. Be concise.",
    "You are a friendly assistant.", "Be polite.", "You are atoll-demo.", "Answer the user's questions.", "You are a helpful AI assistant that follows instructions.",
    "Help the user with their request.", "You are a careful assistant who copies names and numbers exactly.", "You are a chatbot.", "Réponds brièvement.", "أنت مساعد مفيد.",
    "Do not invent anything.", "You answer in a few words.", "You are an assistant for office work.", "Follow the user's instructions.",
    "You are a helpful assistant. Answer in the user's language.", "assistant", "Keep your answers short and precise.", "Respond concisely and accurately.",
)
REDACTED = (
    "Some values were replaced by placeholders such as {p}. Copy them unchanged.", "Placeholders like {p} stand for hidden values. Keep them exactly as they are.",
    "Text such as {p} is a pseudonym. Never change, translate or shorten it.", "Values of the form {p} are redacted. Use them letter for letter.",
)
RULE_VERB = ("Always", "Never", "Please", "Do not", "You may", "Try to", "Remember to", "Avoid to", "If possible,")


def rules(d, n):
    """A long system prompt that changes nothing."""
    out = [d.of(HELPFUL)]
    for _ in range(n):
        roll = d.random()
        if roll < 0.4:
            out.append(f"- {d.of(RULE_VERB)} {d.of(W.VERB)} the {d.of(W.ADJ)} {d.of(W.NOUN)}.")
        elif roll < 0.7:
            out.append("- " + d.of(copying.FILLER))
        elif roll < 0.9:
            out.append(f"## {d.of(W.NOUN).capitalize()}\n{S.sentence(d)}")
        else:
            out.append(f"x-{d.of(W.NOUN)}-header: {S.opaque(d)[1]}")
    return "\n".join(out)


def system_prompt(d):
    """Text or None."""
    roll = d.random()
    if roll < 0.55:
        return None
    if roll < 0.8:
        return d.of(HELPFUL)
    if roll < 0.86:
        return d.of(HELPFUL) + " " + d.of(REDACTED).format(p=S.pseudonym(d))
    if roll < 0.9:
        return f"{d.of(HELPFUL)}\nCurrent date: {S.date(d)}"
    if roll < 0.97:
        return rules(d, d.between(2, 12))
    return rules(d, d.between(12, 50))


THOUGHTS = {
    "copy": ("The user wants a text with given values. I must copy every value letter for letter.", "I look for the value in the message and use it unchanged.", "I should use exactly the strings that I was given."),
    "json": ("I read the values from the text and put them under the keys that were asked for.", "The answer must be JSON with exactly these keys."),
    "atoll": ("This is a question about Atoll. I know the answer.", "The user asks about Atoll. I answer in one or two sentences."),
    "talk": ("This is small talk. A short answer is enough.", "The user says something simple. I answer politely."),
    "world": ("This is a simple question. I answer it directly.", "I think about it for a moment, then answer."),
    "stories": ("The user wants a short text. I make one up.", "I choose the words and keep it short."),
}


def one(d, group, held=False):
    """(user, answer, check, system or None, thought or None, skill name)."""
    f = choose(d, TABLES[group])
    out = f(d, True) if held else f(d)
    user, answer, check = out[:3]
    system = thought = None
    if f in (world.arithmetic, world.word_problem):
        thought = out[3]
    elif len(out) > 3:
        system = out[3]
    if group in ("world", "stories", "talk"):
        user = loosen(d, user, f)
    elif group == "copy" and d.chance(0.05):
        user = d.of(("Hello! {}", "Hi, {}", "Hi! {}", "Please help me. {}", "I need your help. {}", "Hey, {}")).format(user) if not user.startswith(("{", "[")) else user
    return user, answer, check, system, thought, f"{group}.{f.__name__}"


LOOSE = ("Hi! {}", "Hello, {}", "Please: {}", "{} Thanks!", "{} Thank you.", "Quick question: {}", "Can you help me? {}", "One more: {}", "And now: {}", "{} Please be brief.", "{} please", "Okay. {}", "I wonder: {}", "Tell me: {}")


def loosen(d, text, f):
    """Courtesies around a question, and now and then a slip of the finger."""
    if len(text) > 8 and "\n" not in text and f not in (talk.small_talk, talk.unclear) and d.chance(0.15):
        text = d.of(LOOSE).format(text) if "{" not in text else text
    if d.chance(0.05) and f in (talk.small_talk, talk.refuse_code, world.capital, world.listing, stories.story, stories.short_forms):
        words = text.split(" ")
        i = d.between(0, len(words) - 1)
        w = words[i]
        if len(w) > 3 and w.isalpha() and w.islower():
            k = d.between(1, len(w) - 2)
            words[i] = d.of((w[:k] + w[k + 1 :], w[:k] + w[k + 1] + w[k] + w[k + 2 :], w[:k] + w[k] + w[k:]))
            text = " ".join(words)
    return text


def chain(d, group, turns, thinking):
    """A conversation of plain turns."""
    messages, checks, names = [], [], []
    system = None
    if group == "persona":
        system, q, a, c = talk.persona(d)
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
        checks.append(c)
        names.append("talk.persona")
        group = choose(d, TURN_GROUPS)
        turns -= 1
    elif group == "prefix":
        # A standing order for every answer.
        mark = d.of((S.opaque(d)[1], S.pseudoword(d, True), d.of(W.NOUN).upper()))
        before = d.chance(0.6)
        system = d.of(("Start every answer with '{m}'.", "Begin each reply with {m}", "Always start with {m}")) if before else d.of(("End every answer with '{m}'.", "Finish each reply with {m}", "Always end with {m}"))
        system = system.format(m=mark)
        group = d.of(("talk", "world", "atoll"))
    remembered = None
    for i in range(turns):
        if remembered and d.chance(0.25):
            label, value = remembered
            q = d.of(("What is my {l}?", "What's my {l}?", "Do you remember my {l}?", "What was my {l} again?", "Tell me my {l}.", "what is my {l}", "Can you tell me my {l}?", "Say my {l}.", "And what is my {l}?", "Repeat my {l}.")).format(l=label)
            if label == "name":
                q = d.of((q, q, "Who am I?", "Do you know who I am?", "What am I called?"))
            a, c, own, thought, name = f"Your {label} is {value}.", {"kind": "contains", "all": [value]}, None, None, "copy.remember"
            remembered = None
        elif i == 0 and turns > 1 and d.chance(0.15):
            label, value = d.of((("name", S.person(d)), ("name", S.pseudonym(d)), ("order number", S.order(d)), ("e-mail", S.value_for(d, "email")), ("city", d.new(W.CITY))))
            forms = ("My {l} is {v}.", "Hello, my {l} is {v}.", "Please note: my {l} is {v}.", "my {l} is {v}", "Hi! My {l} is {v}.")
            if label == "name":
                forms += ("I am {v}.", "Hi, I'm {v}.", "Hello, I am {v}.", "Hi, I'm {v}", "{v} here.", "Call me {v}.")
            q = d.of(forms).format(l=label, v=value)
            a = f"Nice to meet you, {value}! How can I help you?" if label == "name" else f"Noted: your {label} is {value}."
            c, own, thought, name = {"kind": "contains", "all": [value]}, None, None, "copy.introduce"
            remembered = (label, value)
        else:
            q, a, c, own, thought, name = one(d, group)
            if own and (i > 0 or system):
                # A skill that needs its own system prompt can only open a conversation.
                q = own + "\n\n" + q
                own = None
        if own:
            system = own
        if name == "talk.refuse_unknown" and q.lower().startswith(("what is my name", "who am i", "how old am i", "where am i")) and (remembered or names or system):
            q, a, c, own, thought, name = one(d, "world")
        if names and names[0] == "talk.persona" and name == "talk.small_talk":
            # The persona stays: no answers that name atoll-demo.
            q, a, c, own, thought, name = one(d, "world")
        messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
        checks.append(c)
        names.append(name)
        if thinking and i == turns - 1:
            messages[-1]["reasoning_content"] = thought or d.of(THOUGHTS[name.split(".")[0]])
        group = choose(d, TURN_GROUPS) if d.chance(0.7) else group
        if group == "prefix":
            group = "talk"
    if system and system.startswith(("Start every", "Begin each", "Always start", "End every", "Finish each", "Always end")):
        for m in messages:
            if m["role"] == "assistant":
                m["content"] = f"{mark} {m['content']}" if before else f"{m['content']} {mark}"
        checks = [{"kind": "exact"} for _ in checks]
        names = ["talk.standing_order"] * len(names)
    if system is None:
        system = system_prompt(d)
    elif d.chance(0.1) and names[0] != "talk.standing_order":
        system = d.of(HELPFUL) + "\n" + system
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return {"messages": messages, "checks": checks, "names": names, "skill": names[-1], "thinking": thinking}


def turns_of(d):
    roll = d.random()
    if roll < 0.45:
        return 1
    if roll < 0.65:
        return 2
    if roll < 0.8:
        return 3
    if roll < 0.92:
        return d.between(4, 6)
    if roll < 0.98:
        return d.between(7, 14)
    return d.between(15, 28)


def sort_keys(value):
    """Keys in alphabetical order, as some template engines print them."""
    if isinstance(value, dict):
        return {k: sort_keys(value[k]) for k in sorted(value)}
    if isinstance(value, list):
        return [sort_keys(v) for v in value]
    return value


def conversation(d):
    """One training conversation."""
    group = choose(d, GROUPS)
    thinking = d.chance(0.07)
    if group == "tools":
        schemas, messages, checks = tools.dialogue(d, thinking)
        if d.chance(0.2):
            schemas = [sort_keys(s) for s in schemas]
            for m in messages:
                for c in m.get("tool_calls") or []:
                    c["function"]["arguments"] = {k: c["function"]["arguments"][k] for k in sorted(c["function"]["arguments"])}
        if d.chance(0.05):
            # As one user question with no tool left: the schemas alone must not force a call.
            pass
        system = system_prompt(d)
        if system:
            messages = [{"role": "system", "content": system}] + messages
        return {"messages": messages, "tools": schemas, "checks": checks, "skill": "tools.dialogue", "thinking": thinking, "compact": d.chance(0.4)}
    n = turns_of(d)
    if group == "talk":
        roll = d.random()
        if roll < 0.15:
            group = "persona"
        elif roll < 0.22:
            group = "prefix"
            thinking = False
    return chain(d, group, n, thinking)


def stream(seed, n=None, start=0, step=1):
    """Conversations number `start`, `start + step`, ... of the seed's corpus; each depends on its number alone."""
    i = start
    while n is None or i < n:
        yield conversation(Draw(f"{seed}/{i}"))
        i += step


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


#: skill of the report -> how a case is made
def _single(group, only=None, held=False):
    def make(d):
        while True:
            q, a, c, system, _, name = one(d, group, held)
            if only and name.split(".")[1] not in only:
                continue
            messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": q}]
            return {"messages": messages, "check": c, "answer": a, "name": name}

    return make


def _multi(d):
    conv = chain(d, choose(d, weighted([("copy", 3), ("json", 1)])), d.between(2, 5), False)
    while not conv["skill"].startswith(("copy", "json")):
        conv = chain(d, "copy", d.between(2, 5), False)
    return {"messages": conv["messages"][:-1], "check": conv["checks"][-1], "answer": conv["messages"][-1]["content"], "name": conv["skill"]}


def _tool_call(d):
    while True:
        schemas, messages, checks = tools.dialogue(d)
        k = 0
        for i, m in enumerate(messages):
            if m["role"] == "assistant":
                if m.get("tool_calls") and checks[k]["kind"] == "calls" and i == 1:
                    return {"messages": messages[:1], "tools": schemas, "check": checks[k], "answer": "", "name": "tools.call"}
                k += 1


def _tool_result(d):
    while True:
        schemas, messages, checks = tools.dialogue(d)
        k = 0
        for i, m in enumerate(messages):
            if m["role"] == "assistant":
                if i and messages[i - 1]["role"] == "tool":
                    return {"messages": messages[:i], "tools": schemas, "check": checks[k], "answer": m["content"], "name": "tools.result"}
                k += 1


def _persona(d):
    system, q, a, c = talk.persona(d)
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": q}], "check": c, "answer": a, "name": "talk.persona"}


EVALUATION = {
    "copy: repeat": _single("copy", ("repeat", "wrap", "replace", "fill")),
    "copy: quote and look up": _single("copy", ("quote", "record", "people", "needle", "from_system", "ar_fr_quote", "find_all")),
    "copy: personal details": _single("copy", ("details",)),
    "copy: e-mails (en, fr, ar)": _single("copy", ("mail", "mail_fr", "mail_ar")),
    "copy: messages that tell something": _single("copy", ("told", "told_fr", "told_ar", "one_sentence", "reply_from_record")),
    "copy: translate around, rewrite": _single("copy", ("translate", "business", "introduce")),
    "copy and JSON, later turns": _multi,
    "JSON: extraction by schema": _single("json", ("json_extract", "record_list")),
    "JSON: invented example": _single("json", ("json_invent",)),
    "JSON: object from values": _single("copy", ("jsonify",)),
    "classification": _single("json", ("classify",)),
    "tools: the right call": _tool_call,
    "tools: use of the result": _tool_result,
    "Atoll: known phrasing, new wrapping": _single("atoll"),
    "Atoll: phrasing never trained": _single("atoll", held=True),
    "identity, small talk, refusals": _single("talk"),
    "persona from the system prompt": _persona,
    "world: capitals, words, lists": _single("world", ("listing", "sequences", "calendar", "capital", "words")),
    "arithmetic": _single("world", ("arithmetic", "word_problem")),
    "sorting, counting, spelling": _single("world", ("ordering", "spelling")),
    "summaries": _single("stories", ("summary",)),
    "stories, poems, jokes": _single("stories", ("story", "long_story", "short_forms")),
}


def cases(seed, n, skills=None):
    """`n` evaluation cases of each skill."""
    out = []
    for skill, make in EVALUATION.items():
        if skills and not any(s in skill for s in skills):
            continue
        for i in range(n):
            case = make(Draw(f"eval/{seed}/{skill}/{i}", EVAL))
            out.append({"skill": skill, **case})
    return out
