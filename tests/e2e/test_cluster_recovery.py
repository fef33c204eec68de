"""A host of a pool is killed, frozen or stopped: its streams end with an error the client's API has; whole answers, and
requests that come at that moment and later, are answered by what is left, or refused honestly."""

import concurrent.futures
import signal
import threading

import openai
import pytest

from conftest import until
from pool import LONG, Pool, coordinators, held, id_of, one_instance_stays, stages_of, story, whole
from pool import roles as pool_roles
from test_cluster import QUESTION, chat

MODEL = "two"


@pytest.fixture(scope="module")
def pool():
    pool = Pool(3, {"whole": 1, MODEL: 2})
    yield pool
    pool.stop()


@pytest.fixture(scope="module")
def expected(pool):
    return chat(pool.nodes[0], "whole")


@pytest.fixture(scope="module")
def told(pool):
    return story(pool.nodes[0], "whole", LONG)


def roles(pool):
    return pool_roles(pool.nodes, MODEL)


def long_stream(node):
    """A stream that is on its way, and whose end is far."""
    stream = node.openai().completions.create(
        model=MODEL, prompt="Once upon a time", stream=True, max_tokens=LONG, temperature=0,
        extra_body={"ignore_eos": True},
    )
    chunks = iter(stream)
    for _ in range(3):
        next(chunks)
    return chunks


def whole_answer(node):
    """As long as a stream, and not told before its end."""
    asked = node.openai().completions.create(
        model=MODEL, prompt="Once upon a time", max_tokens=LONG, temperature=0, extra_body={"ignore_eos": True},
    )
    return asked.choices[0].text


def no_block_is_kept(nodes):
    """Nobody asks any more, so the scheduler of the model's pipeline can give all its blocks to the next."""
    (node,) = coordinators(nodes, MODEL)
    blocks = lambda state: node.metric("atoll_engine_kv_blocks", model=MODEL, state=state)
    assert blocks("total") > 0
    until(lambda: blocks("available") == blocks("total"), what="every block is free again")


def replace(pool, victim):
    """Puts a new host in the place of one that is gone."""
    victim.process.send_signal(signal.SIGCONT)
    victim.process.kill()
    victim.process.wait()
    victim.home.cleanup()
    pool.nodes.remove(victim)
    pool.add()
    pool.settle()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
@pytest.mark.parametrize("who", ["coordinator", "stage"])
def test_streams_end_with_an_error_and_requests_of_that_moment_are_answered(pool, expected, told, who, how):
    client, coordinator, stage = roles(pool)
    victim = {"coordinator": coordinator, "stage": stage}[who]
    # Begun before the streams, and as long: in their middle when the machine is lost.
    waiting = concurrent.futures.ThreadPoolExecutor(2)
    whole_answers = [waiting.submit(whole_answer, client) for _ in range(2)]
    until(lambda: coordinator.metric("atoll_engine_sequences", model=MODEL, state="running") == 2, what="both are on their way")
    streams = [long_stream(client) for _ in range(3)]
    ends = []

    def read(chunks):
        try:
            ends.append(list(chunks))
        except openai.APIError as error:
            ends.append(error)

    readers = [threading.Thread(target=read, args=(chunks,)) for chunks in streams]
    for reader in readers:
        reader.start()
    victim.process.send_signal(how)
    # Nobody knows of the loss yet: these go to the machines that are lost, and no client repeats anything.
    left = [node for node in pool.nodes if node is not victim]
    with concurrent.futures.ThreadPoolExecutor(8) as asking:
        asked = [asking.submit(chat, node, MODEL, stream=stream) for node in left * 2 for stream in (True, False)]
        for reader in readers:
            reader.join(60)
        assert [answer.result() for answer in asked] == [expected] * len(asked)
        assert [answer.result() for answer in whole_answers] == [told] * 2, "nobody has heard anything of it before"
    waiting.shutdown()
    assert len(ends) == 3, "a stream hangs"
    for end in ends:
        assert isinstance(end, openai.APIError), "a stream ended as if it were complete"
        assert "lost" in str(end)
    assert chat(client, MODEL) == expected
    # Nothing of the old plan is left on those that live, and nobody waits for blocks.
    for node in left:
        until(lambda: set(stages_of(node, MODEL).values()) == {id_of(other) for other in left}, what="only the new plan")
    no_block_is_kept(left)
    replace(pool, victim)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
@pytest.mark.parametrize("who", ["coordinator", "stage"])
def test_a_loss_while_nobody_asks_is_repaired_before_somebody_does(pool, expected, who, how):
    client, coordinator, stage = roles(pool)
    victim = {"coordinator": coordinator, "stage": stage}[who]
    left = [node for node in pool.nodes if node is not victim]
    victim.process.send_signal(how)
    # Nobody asks for the model: that it should run is enough.
    ids = {id_of(node) for node in left}
    until(lambda: set(stages_of(client, MODEL).values()) == ids, 60, "the model runs on those that are left")
    assert chat(client, MODEL) == expected
    no_block_is_kept(left)
    replace(pool, victim)


def test_all_that_are_asked_at_the_moment_of_a_loss_meet_in_one_instance(expected):
    """Again and again, with whoever is lost: the model is brought back once, and its memory is taken once."""
    crowd = Pool(4, {"whole": 1, MODEL: 2})
    try:
        for who in ["coordinator", "stage"] * 3:
            _, coordinator, stage = pool_roles(crowd.nodes, MODEL)
            victim = {"coordinator": coordinator, "stage": stage}[who]
            left = [node for node in crowd.nodes if node is not victim]
            victim.process.kill()
            with concurrent.futures.ThreadPoolExecutor(12) as asking:
                asked = [asking.submit(chat, node, MODEL, stream=False) for _ in range(4) for node in left]
                assert [answer.result() for answer in asked] == [expected] * len(asked)
            assert len(coordinators(left, MODEL)) == 1
            until(lambda: whole(held(left, MODEL)), what="each layer is in memory once")
            replace(crowd, victim)
    finally:
        crowd.stop()


def test_of_two_pools_that_meet_one_goes_on_with_the_model():
    """As after a cut, with hosts that have never heard of each other: nobody loses an answer, and one instance stays."""
    left = Pool(2, {"whole": 1, MODEL: 2})
    right = Pool(2, {"whole": 1, MODEL: 2}, name=left.name)
    try:
        nodes = left.nodes + right.nodes
        for half in (left, right):
            chat(half.nodes[0], MODEL)
            until(lambda: len(coordinators(half.nodes, MODEL)) == 1, what="the half has an instance")
        (first,) = coordinators(left.nodes, MODEL)
        # A host that knows one of each.
        one_instance_stays(first, nodes, MODEL, lambda: left.add(peers=[left.nodes[0], right.nodes[0]]))
    finally:
        left.stop()
        right.stop()


def test_a_model_that_fits_no_more_is_an_honest_503_until_a_host_comes_back(expected):
    pair = Pool(2, {"whole": 1, MODEL: 2})
    try:
        assert chat(pair.nodes[0], MODEL) == expected
        stays, goes = pair.nodes
        goes.process.kill()
        goes.process.wait()
        with pytest.raises(openai.InternalServerError) as refused:
            chat(stays, MODEL, stream=False)
            chat(stays, MODEL, stream=False)
        assert refused.value.status_code == 503
        assert int(refused.value.response.headers["retry-after"]) >= 1
        assert chat(stays, "whole") == expected, "other models are not concerned"
        replace(pair, goes)
        until(lambda: answers(stays, expected), 60, "the model is back")
    finally:
        pair.stop()


def answers(node, expected):
    try:
        return chat(node, MODEL, stream=False) == expected
    except openai.InternalServerError:
        return False
