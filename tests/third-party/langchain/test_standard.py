"""LangChain's standard tests for chat models and embeddings, each integration with nothing changed but its base URL."""

import os

from langchain_anthropic import ChatAnthropic
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests

URL, MODEL = os.environ["ATOLL_URL"], os.environ["ATOLL_MODEL"]
# Short answers: what is tested is the conversation, not the model.
OPENAI = {"model": MODEL, "base_url": f"{URL}/v1", "api_key": "unused", "temperature": 0}


class TestOpenAIChat(ChatModelIntegrationTests):
    chat_model_class = ChatOpenAI
    chat_model_params = {**OPENAI, "max_tokens": 128, "use_responses_api": False}
    has_tool_choice = True


class TestOpenAIResponses(ChatModelIntegrationTests):
    chat_model_class = ChatOpenAI
    chat_model_params = {**OPENAI, "max_tokens": 128, "use_responses_api": True}
    has_tool_choice = True


class TestAnthropic(ChatModelIntegrationTests):
    chat_model_class = ChatAnthropic
    chat_model_params = {"model": MODEL, "base_url": URL, "api_key": "unused", "max_tokens": 128}
    has_tool_choice = True


class TestOllama(ChatModelIntegrationTests):
    chat_model_class = ChatOllama
    chat_model_params = {"model": MODEL, "base_url": URL, "temperature": 0, "num_predict": 128}
    supports_json_mode = True
    has_tool_choice = False


class TestOpenAIEmbeddings(EmbeddingsIntegrationTests):
    embeddings_class = OpenAIEmbeddings
    # Token ids of OpenAI's vocabulary mean nothing to another model, so texts are sent.
    embedding_model_params = {"model": MODEL, "base_url": f"{URL}/v1", "api_key": "unused", "check_embedding_ctx_length": False}


class TestOllamaEmbeddings(EmbeddingsIntegrationTests):
    embeddings_class = OllamaEmbeddings
    embedding_model_params = {"model": MODEL, "base_url": URL}
