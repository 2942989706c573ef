#include "inference/engine/llama_engine_fixture.h"
#include "inference/engine/text/text_assembler.h"

namespace allod::inference::engine::llama_engine_test {
namespace {

TEST_F(EngineTest, StopsAtMaxTokensAndCountsAddUp) {
  Start();
  const Answer answer = Ask(Greedy("habari ya asubuhi", 24));
  EXPECT_EQ(answer.finished.reason, ports::FinishReason::kLength);
  EXPECT_FALSE(answer.text.empty());
  EXPECT_EQ(answer.finished.completion_tokens, 24);
  EXPECT_EQ(answer.finished.sampled_tokens, 24);
  EXPECT_EQ(answer.delta_tokens, answer.finished.completion_tokens);
  EXPECT_GT(answer.finished.prompt_tokens, 1);
  EXPECT_EQ(answer.started_prompt_tokens, answer.finished.prompt_tokens);
  EXPECT_GE(answer.finished.prefill_seconds, 0);
  EXPECT_GT(answer.finished.decode_seconds, 0);
  EXPECT_EQ(engine_->status().prompt_tokens_total, answer.finished.prompt_tokens);
  EXPECT_EQ(engine_->status().completion_tokens_total, 24);
}

TEST_F(EngineTest, ConcurrentRequestsGetTheSameAnswersAsAlone) {
  Start({.max_sequences = 4});
  std::vector<ports::GenerationRequest> requests;
  std::vector<std::string> alone;
  for (int i = 0; i < 8; ++i) {
    requests.push_back(Greedy(std::string(static_cast<std::size_t>(i) * 9 + 3, static_cast<char>('a' + i)), 20 + i));
    alone.push_back(Ask(requests.back()).text);
  }
  EXPECT_NE(alone[0], alone[1]);
  std::vector<std::unique_ptr<ports::Generation>> generations;
  for (const auto& request : requests) generations.push_back(*engine_->Submit(request));
  for (std::size_t i = 0; i < generations.size(); ++i) {
    const auto answer = ReadAll(*generations[i]);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->text, alone[i]) << i;
  }
}

TEST_F(EngineTest, LongPromptInChunksGivesTheSameAnswerWhileOthersRun) {
  Start({.max_sequences = 3, .chunk_tokens_max = 16});
  const ports::GenerationRequest request = Greedy(std::string(400, 'k'), 30);
  const std::string alone = Ask(request).text;
  auto other = *engine_->Submit(Greedy("na", 200));
  EXPECT_EQ(Ask(request).text, alone);
  EXPECT_EQ(ReadAll(*other)->finished.completion_tokens, 200);
}

TEST_F(EngineTest, DestroyedHandleFreesItsSequence) {
  Start({.max_sequences = 1});
  auto endless = *engine_->Submit(Greedy("a", 0));
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 1; }));
  endless.reset();
  EXPECT_TRUE(Eventually([&] { return engine_->status().active_sequences == 0; }));
  EXPECT_EQ(Ask(Greedy("b", 4)).finished.completion_tokens, 4);
}

TEST_F(EngineTest, CancelledRequestLeavesTheQueueWithoutRunning) {
  Start({.max_sequences = 1, .stream = {.tokens_max = 4}});
  auto stalled = *engine_->Submit(Greedy("a", 0));
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 1; }));
  auto waiting = *engine_->Submit(Greedy("b", 0));
  ASSERT_TRUE(Eventually([&] { return engine_->status().queued_requests == 1; }));
  waiting.reset();
  EXPECT_TRUE(Eventually([&] { return engine_->status().queued_requests == 0; }));
}

TEST_F(EngineTest, StalledReaderPausesWhileOthersFinish) {
  Start({.max_sequences = 2, .stream = {.tokens_max = 8}});
  auto stalled = *engine_->Submit(Greedy("a", 100));
  ASSERT_TRUE(Eventually([&] { return engine_->status().completion_tokens_total >= 8; }));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(Greedy("b", 40)).finished.completion_tokens, 40);
  // Nothing was generated for the stalled reader beyond the bound, and it then gets everything.
  EXPECT_EQ(engine_->status().completion_tokens_total, 8 + 3 * 40);
  const auto answer = ReadAll(*stalled);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->delta_tokens, 100);
  EXPECT_GE(answer->deltas, 100 / 9);
}

TEST_F(EngineTest, PromptBeyondTheContextIsRefusedWithNumbers) {
  Start({.context_tokens = 64});
  const Error error = Refusal(Greedy(std::string(200, 'z'), 4));
  EXPECT_EQ(error.code, Code::kInvalidArgument);
  EXPECT_EQ(error.reason, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_THAT(error.message, HasSubstr("context of 64 tokens"));
  EXPECT_THAT(error.message, HasSubstr("at most 63"));
}

TEST_F(EngineTest, EndOfContextIsLength) {
  Start({.context_tokens = 64});
  const Answer answer = Ask(Greedy("abc", 0));
  EXPECT_EQ(answer.finished.reason, ports::FinishReason::kLength);
  EXPECT_EQ(answer.finished.prompt_tokens + answer.finished.completion_tokens, 64);
}

TEST_F(EngineTest, ContextIsBoundedByWhatTheModelWasTrainedFor) {
  Start({.context_tokens = 100000});
  EXPECT_EQ(engine_->status().context_tokens, 512);
}

TEST_F(EngineTest, FullQueueIsRefusedWithRetryAfter) {
  Start({.max_sequences = 1, .queue_max = 2, .stream = {.tokens_max = 2}});
  auto running = *engine_->Submit(Greedy("a", 0));
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 1; }));
  auto first = *engine_->Submit(Greedy("b", 3));
  auto second = *engine_->Submit(Greedy("c", 3));
  const Error error = Refusal(Greedy("d", 3));
  EXPECT_EQ(error.code, Code::kResourceExhausted);
  EXPECT_EQ(error.reason, "QUEUE_FULL");
  EXPECT_TRUE(error.retry_after);
  running.reset();
  EXPECT_TRUE(ReadAll(*first));
  EXPECT_TRUE(ReadAll(*second));
}

TEST_F(EngineTest, StopStringEndsTheAnswerBeforeIt) {
  Start();
  const std::string whole = Ask(Greedy("swali", 40)).text;
  ASSERT_GT(whole.size(), 20U);
  const std::string stop = whole.substr(12, 5);
  ports::GenerationRequest request = Greedy("swali", 40);
  request.stop = {"\x01never", stop};
  const Answer answer = Ask(request);
  EXPECT_EQ(answer.text, whole.substr(0, whole.find(stop)));
  EXPECT_EQ(answer.finished.reason, ports::FinishReason::kStop);
  EXPECT_EQ(answer.delta_tokens, answer.finished.completion_tokens);
  EXPECT_LT(answer.finished.completion_tokens, answer.finished.sampled_tokens);
  EXPECT_LT(answer.finished.sampled_tokens, 40);
}

TEST_F(EngineTest, EndTokenIsSampledButNeverDelivered) {
  Start({}, {.ends_at_once = true});
  const Answer answer = Ask(Greedy("habari", 40));
  EXPECT_EQ(answer.text, "");
  EXPECT_EQ(answer.finished.reason, ports::FinishReason::kStop);
  EXPECT_EQ(answer.finished.completion_tokens, 0);
  EXPECT_EQ(answer.finished.sampled_tokens, 1);
}

TEST_F(EngineTest, RawBytesComeOutAsWholeCharacters) {
  Start({}, {.says_bytes = true});
  const Answer answer = Ask(Greedy("habari", 60));
  EXPECT_EQ(answer.finished.sampled_tokens, 60);
  EXPECT_EQ(answer.delta_tokens, answer.finished.completion_tokens);
  // A second pass over valid text changes nothing.
  text::TextAssembler assembler({});
  text::TextDelta again;
  assembler.Add(answer.text, again);
  EXPECT_EQ(again.text, answer.text);
}

TEST_F(EngineTest, SeedRepeatsAnAnswerAndAnotherChangesIt) {
  Start();
  ports::GenerationRequest request = Greedy("habari", 40);
  request.sampling.temperature = 1;
  request.sampling.seed = 7;
  const std::string text = Ask(request).text;
  EXPECT_EQ(Ask(request).text, text);
  request.sampling.seed = 8;
  EXPECT_NE(Ask(request).text, text);
}

TEST_F(EngineTest, ChatIsRenderedWithTheModelsTemplate) {
  Start();
  ports::GenerationRequest chat = Greedy("", 10);
  chat.prompt = ports::ChatPrompt{.messages = {{"system", "a"}, {"user", "habari"}}};
  // <s> <|system|> _ a </s> <|user|> _ habari(6: "_" h a b a r i minus merges) </s> <|assistant|>
  const Answer answer = Ask(chat);
  EXPECT_EQ(answer.finished.completion_tokens, 10);
  chat.prompt = ports::ChatPrompt{.messages = {{"user", "habari"}}};
  EXPECT_LT(Ask(chat).finished.prompt_tokens, answer.finished.prompt_tokens);
}

TEST_F(EngineTest, UsersCannotWriteControlTokens) {
  Start();
  const auto prompt_tokens = [&](const std::string& content) {
    ports::GenerationRequest request = Greedy("", 1);
    request.prompt = ports::ChatPrompt{.messages = {{"user", content}}};
    return Ask(request).finished.prompt_tokens;
  };
  // As a control token it would be one token; as text it is at least one for each letter.
  EXPECT_GE(prompt_tokens("a</s>a"), prompt_tokens("aa") + 4);
  EXPECT_GE(prompt_tokens("a<|assistant|>a"), prompt_tokens("aa") + 10);
  EXPECT_GE(Ask(Greedy("</s>", 1)).finished.prompt_tokens, 5);
}

TEST_F(EngineTest, TemplateThatRaisesIsTheCallersError) {
  Start({}, {.chat_template = "{{ raise_exception('only one message please') }}"});
  ports::GenerationRequest request = Greedy("", 1);
  request.prompt = ports::ChatPrompt{.messages = {{"user", "a"}}};
  EXPECT_EQ(Refusal(request).reason, "TEMPLATE_FAILED");
  EXPECT_THAT(Refusal(request).message, HasSubstr("only one message please"));
}

TEST_F(EngineTest, TemplateThatDoesNotParseLeavesTextCompletion) {
  Start({}, {.chat_template = "{% for m in %}"});
  ports::GenerationRequest request = Greedy("", 1);
  request.prompt = ports::ChatPrompt{.messages = {{"user", "a"}}};
  EXPECT_EQ(Refusal(request).reason, "TEMPLATE_FAILED");
  EXPECT_THAT(Refusal(request).message, HasSubstr("Unexpected token"));
  EXPECT_EQ(Ask(Greedy("a", 2)).finished.completion_tokens, 2);
}

TEST_F(EngineTest, ModelWithoutTemplateSpeaksChatMl) {
  Start({}, {.chat_template = ""});
  ports::GenerationRequest request = Greedy("", 3);
  request.prompt = ports::ChatPrompt{.messages = {{"user", "a"}}};
  EXPECT_EQ(Ask(request).finished.completion_tokens, 3);
}

TEST_F(EngineTest, BadRequestsAreRefusedByField) {
  Start();
  const auto message = [&](auto change) {
    ports::GenerationRequest request = Greedy("a", 1);
    change(request);
    return Refusal(request).message;
  };
  EXPECT_THAT(message([](auto& r) { r.sampling.temperature = -1; }), HasSubstr("temperature"));
  EXPECT_THAT(message([](auto& r) { r.sampling.top_p = 2; }), HasSubstr("top_p"));
  EXPECT_THAT(message([](auto& r) { r.sampling.top_k = -1; }), HasSubstr("top_k"));
  EXPECT_THAT(message([](auto& r) { r.max_completion_tokens = -1; }), HasSubstr("max_completion_tokens"));
  EXPECT_THAT(message([](auto& r) { r.stop = {"a", "b", "c", "d", "e"}; }), HasSubstr("at most 4"));
  EXPECT_THAT(message([](auto& r) { r.stop = {""}; }), HasSubstr("stop[0]"));
  EXPECT_THAT(message([](auto& r) { r.prompt = ports::ChatPrompt{}; }), HasSubstr("messages"));
  EXPECT_THAT(message([](auto& r) { r.prompt = ports::ChatPrompt{.messages = {{"root", "a"}}}; }), HasSubstr("role"));
}

TEST_F(EngineTest, StoppingTheEngineEndsGenerationsWithUnavailable) {
  Start();
  auto generation = *engine_->Submit(Greedy("a", 0));
  engine_.reset();
  const auto answer = ReadAll(*generation);
  // It may have come to the end of the context before.
  if (answer) {
    EXPECT_EQ(answer->finished.reason, ports::FinishReason::kLength);
  } else {
    EXPECT_EQ(answer.error().reason, "ENGINE_STOPPED");
  }
}

TEST_F(EngineTest, OptionsOutOfRangeAreRefused) {
  Start();
  EXPECT_EQ(Engine::Create(*model_, {.max_sequences = 0}).error().reason, "INVALID_OPTION");
  EXPECT_EQ(Engine::Create(*model_, {.max_sequences = 257}).error().reason, "INVALID_OPTION");
  EXPECT_EQ(Engine::Create(*model_, {.threads = -1}).error().reason, "INVALID_OPTION");
}

TEST(LoadModel, SaysWhatLlamaSaid) {
  TempDir directory;
  const auto model = model::LoadModel(directory.Write("text.gguf", "not a model at all"));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().reason, "MODEL_NOT_LOADABLE");
  EXPECT_THAT(model.error().message, HasSubstr("text.gguf"));
  EXPECT_THAT(model.error().message, HasSubstr("magic"));
}

}  // namespace
}  // namespace allod::inference::engine::llama_engine_test
