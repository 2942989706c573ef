// Many instances and tenants on one engine: whose it is, whose turn it is, and what is kept for whom.

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <mutex>

#include "inference/engine/llama_engine_fixture.h"
#include "tests/support/instrumented.h"

namespace allod::inference::engine::llama_engine_pool_test {
namespace {

ports::GenerationRequest Of(const std::string& tenant, ports::GenerationRequest request) {
  request.tenant_uid = tenant;
  request.instance = tenant + "/assistant";
  return request;
}

// Counts turns and what they were used for; grants what it is told to.
class FakeGate final : public ports::TurnGate {
 public:
  Turn Begin() override {
    ++begun;
    return {std::chrono::microseconds(budget_us.load()), contended.load()};
  }
  void End(std::int32_t prompt_tokens, std::int32_t decode_tokens) override {
    prompt += prompt_tokens;
    decode += decode_tokens;
    largest_prompt = std::max(largest_prompt.load(), prompt_tokens);
    largest_decode = std::max(largest_decode.load(), decode_tokens);
    ++ended;
  }
  void SpentAside(std::chrono::nanoseconds processor_time) override { aside_us += processor_time.count() / 1000; }
  void Rest() override { ++rests; }
  void Interrupt() override { interrupted = true; }

  std::atomic<int> begun = 0, ended = 0, rests = 0, prompt = 0, decode = 0;
  std::atomic<std::int32_t> largest_prompt = 0, largest_decode = 0;
  std::atomic<std::int64_t> budget_us = 50000, aside_us = 0;
  std::atomic<bool> contended = false, interrupted = false;
};

// Keeps what was counted by request id.
class FakeRecorder final : public ports::UsageRecorder {
 public:
  struct Record {
    std::int32_t computed = 0, cached = 0, sampled = 0;
    std::vector<ports::UsageOutcome> outcomes;
  };

  Result<std::unique_ptr<ports::UsageSlot>> Open(std::string_view request_id, std::string_view /*tenant_uid*/,
                                                 std::string_view /*instance*/) override {
    struct Slot final : ports::UsageSlot {
      Slot(FakeRecorder& recorder, std::string request) : owner(recorder), id(std::move(request)) {}
      void CountPrompt(std::int32_t computed, std::int32_t cached) override {
        const std::lock_guard lock(owner.mutex_);
        owner.records_[id].computed = computed;
        owner.records_[id].cached = cached;
      }
      void CountSampled() override {
        const std::lock_guard lock(owner.mutex_);
        ++owner.records_[id].sampled;
      }
      void Finish(ports::UsageOutcome outcome) override {
        const std::lock_guard lock(owner.mutex_);
        owner.records_[id].outcomes.push_back(outcome);
      }
      FakeRecorder& owner;
      const std::string id;
    };
    if (request_id == "refused") return Fail(Code::kResourceExhausted, "USAGE_RING_FULL", "the ring is full");
    return std::make_unique<Slot>(*this, std::string(request_id));
  }
  Record Of(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return records_[id];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Record> records_;
};

TEST_F(EngineTest, PromptThatBeginsAsAnEarlierOneReusesIt) {
  Start();
  const std::string common = "habari ya asubuhi na karibu sana";
  const Answer first = Ask(Of("a", Greedy(common, 8)));
  EXPECT_EQ(first.cached, 0);
  const Answer again = Ask(Of("a", Greedy(common, 8)));
  // All but the last token, whose logits are wanted.
  EXPECT_EQ(again.cached, again.finished.prompt_tokens - 1);
  EXPECT_EQ(again.finished.cached_prompt_tokens, again.cached);
  EXPECT_EQ(again.text, first.text);
  const std::string longer = common + first.text + " na kadhalika";
  const Answer next = Ask(Of("a", Greedy(longer, 8)));
  EXPECT_GT(next.cached, first.finished.prompt_tokens - 4);
  EXPECT_EQ(engine_->status().cached_prompt_tokens_total, again.cached + next.cached);
  // The same without a cache.
  Start({.prefix_cache = false});
  const Answer uncached = Ask(Of("a", Greedy(longer, 8)));
  EXPECT_EQ(uncached.cached, 0);
  EXPECT_EQ(uncached.text, next.text);
}

TEST_F(EngineTest, PrefixesAreNeverSharedBetweenTenants) {
  Start();
  const std::string secret = "habari ya asubuhi na karibu sana";
  Ask(Of("a", Greedy(secret, 8)));
  EXPECT_EQ(Ask(Of("b", Greedy(secret, 8))).cached, 0);
  EXPECT_GT(Ask(Of("a", Greedy(secret, 8))).cached, 0);
}

TEST_F(EngineTest, KeptPrefixesMakeRoomForWhatRuns) {
  Start({.context_tokens = 128, .max_sequences = 2, .kv_tokens = 160});
  for (int i = 0; i < 12; ++i) {
    const std::string prompt(static_cast<std::size_t>(60 + i), static_cast<char>('a' + i));
    const Answer answer = Ask(Of("a", Greedy(prompt, 30)));
    EXPECT_EQ(answer.finished.completion_tokens, 30);
    const EngineStatus status = engine_->status();
    EXPECT_LE(status.kv_tokens_reserved + status.kv_tokens_cached, 160);
  }
  EXPECT_TRUE(Eventually([&] { return engine_->status().kv_tokens_cached > 0; }));
}

TEST_F(EngineTest, KeptPrefixesThatWouldSlowTheOthersAreGivenUp) {
  Start({.context_tokens = 128, .max_sequences = 4, .kv_tokens = 4096, .stream = {.tokens_max = 2}});
  const auto prompt = [](int i) { return std::string(static_cast<std::size_t>(100 + i), static_cast<char>('a' + i)); };
  for (int i = 0; i < 12; ++i) Ask(Of("a", Greedy(prompt(i), 2)));
  ASSERT_GT(engine_->status().kv_tokens_cached, 800);
  // One alone is not slowed enough to matter.
  auto first = *engine_->Submit(Of("b", Greedy("xyz", 0)));
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 1; }));
  EXPECT_GT(engine_->status().kv_tokens_cached, 800);
  auto second = *engine_->Submit(Of("b", Greedy("zyx", 0)));
  EXPECT_TRUE(Eventually([&] { return engine_->status().kv_tokens_cached <= 512; }));
  EXPECT_GT(engine_->status().kv_tokens_cached, 300);
  first.reset();
  second.reset();
  // The latest are still there.
  EXPECT_GT(Ask(Of("a", Greedy(prompt(11), 2))).cached, 90);
}

TEST_F(EngineTest, RequestsWaitForRoomInTheCacheAndAllFinish) {
  // Three would fit by number, but only one at a time by their tokens.
  Start({.context_tokens = 128, .max_sequences = 3, .kv_tokens = 150});
  std::vector<std::unique_ptr<ports::Generation>> generations;
  for (int i = 0; i < 6; ++i) {
    generations.push_back(*engine_->Submit(Of("a", Greedy(std::string(40, static_cast<char>('a' + i)), 60))));
  }
  for (const auto& generation : generations) {
    const auto answer = ReadAll(*generation);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->finished.completion_tokens, 60);
  }
}

TEST_F(EngineTest, TenantsLimitsLeaveRoomForOthers) {
  Start({.max_sequences = 4, .tenant_queue_max = 3, .tenant_sequences_max = 2, .stream = {.tokens_max = 2}});
  // Its readers do not read, so what runs stays.
  std::vector<std::unique_ptr<ports::Generation>> flood;
  for (int i = 0; i < 5; ++i) {
    flood.push_back(*engine_->Submit(Of("loud", Greedy(std::string(10, static_cast<char>('a' + i)), 0))));
    ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == std::min(i + 1, 2); }));
  }
  EXPECT_EQ(engine_->status().queued_requests, 3);
  EXPECT_EQ(Refusal(Of("loud", Greedy("b", 3))).reason, "QUEUE_FULL");
  EXPECT_EQ(Ask(Of("quiet", Greedy("b", 3))).finished.completion_tokens, 3);
}

TEST_F(EngineTest, AFullQueueMakesAPlaceForATenantThatHasFewest) {
  Start({.max_sequences = 1, .queue_max = 4, .tenant_queue_max = 2, .stream = {.tokens_max = 2}});
  auto running = *engine_->Submit(Of("a", Greedy("habari", 0)));
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 1; }));
  // Two tenants; what one has counts together, whichever of its instances it came by.
  std::vector<std::unique_ptr<ports::Generation>> waiting;
  for (const char* instance : {"a/one", "a/two", "b/one", "b/two"}) {
    ports::GenerationRequest request = Of(std::string(instance, 1), Greedy("asubuhi", 1));
    request.instance = instance;
    waiting.push_back(*engine_->Submit(request));
    if (waiting.size() != 2) continue;
    request.instance = "a/three";
    EXPECT_EQ(Refusal(request).reason, "QUEUE_FULL");
  }
  ASSERT_EQ(engine_->status().queued_requests, 4);
  auto newcomer = *engine_->Submit(Of("c", Greedy("habari", 1)));
  EXPECT_EQ(engine_->status().queued_requests, 4);
  EXPECT_EQ(ReadAll(*waiting[1]).error().reason, "QUEUE_FULL");
  EXPECT_TRUE(ReadAll(*waiting[1]).error().retry_after);
  auto last = *engine_->Submit(Of("d", Greedy("habari", 1)));
  EXPECT_EQ(ReadAll(*waiting[3]).error().reason, "QUEUE_FULL");
  EXPECT_EQ(Refusal(Of("e", Greedy("habari", 1))).reason, "QUEUE_FULL") << "all have one";
  running.reset();
  for (ports::Generation* one : {newcomer.get(), last.get(), waiting[0].get(), waiting[2].get()})
    EXPECT_TRUE(ReadAll(*one));
}

TEST_F(EngineTest, OnlyMembersAreAnsweredAndOnlyForTheirTenant) {
  Start();
  ASSERT_TRUE(engine_->SetMembers({{"a/assistant", "a", 64, 1, 1}, {"b/assistant", "b", 0, 0, 1}}).empty());
  EXPECT_EQ(
      Ask(Of("a", Greedy("abc", 0))).finished.prompt_tokens + Ask(Of("a", Greedy("abc", 0))).finished.completion_tokens,
      64);
  EXPECT_EQ(Refusal(Of("c", Greedy("b", 3))).reason, "UNKNOWN_INSTANCE");
  ports::GenerationRequest stolen = Of("a", Greedy("b", 3));
  stolen.tenant_uid = "b";
  EXPECT_EQ(Refusal(stolen).reason, "WRONG_TENANT");
  ASSERT_TRUE(engine_->SetMembers({{"b/assistant", "b", 0, 0, 1}}).empty());
  EXPECT_EQ(Refusal(Of("a", Greedy("b", 3))).reason, "UNKNOWN_INSTANCE");
  // One that makes no sense takes nobody's place.
  const auto refused = engine_->SetMembers({{"x", "b"}, {"x", "b"}, {"", "b"}, {"b/assistant", "b", 0, 0, 1}});
  EXPECT_EQ(refused, (std::vector<ports::RefusedMember>{{"x", "is named twice"}, {"", "has no instance name"}}));
  EXPECT_EQ(Ask(Of("b", Greedy("b", 3))).finished.completion_tokens, 3);
}

TEST_F(EngineTest, ComputesOnlyInTurnsAndSaysWhatTheyWereUsedFor) {
  FakeGate gate;
  Start({.prefix_cache = false, .gate = &gate});
  const Answer answer = Ask(Greedy("habari ya asubuhi", 24));
  ASSERT_TRUE(Eventually([&] { return gate.rests > 0 && gate.begun == gate.ended; }));
  EXPECT_EQ(gate.prompt, answer.finished.prompt_tokens);
  EXPECT_EQ(gate.decode, 23);  // the first token comes with the prompt
  EXPECT_EQ(engine_->status().turns_total, gate.ended);
  engine_.reset();
  EXPECT_TRUE(gate.interrupted);
}

TEST_F(EngineTest, ContendedTurnsAreSmallAndNobodyStarves) {
  FakeGate gate;
  Start({.max_sequences = 4, .prefix_cache = false, .gate = &gate});
  Ask(Greedy("warm", 30));  // learns what a step costs
  gate.contended = true;
  gate.budget_us = 1;  // nothing fits but what always does
  gate.largest_prompt = gate.largest_decode = 0;
  std::vector<std::unique_ptr<ports::Generation>> generations;
  for (int i = 0; i < 4; ++i) {
    generations.push_back(*engine_->Submit(Greedy(std::string(50, static_cast<char>('a' + i)), 20)));
  }
  for (const auto& generation : generations) {
    const auto answer = ReadAll(*generation);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->finished.completion_tokens, 20);
  }
  EXPECT_EQ(gate.largest_decode, 1);
  EXPECT_EQ(gate.largest_prompt, 1);
  engine_.reset();  // before its gate
}

// Processor time of the process, which other programs do not lengthen.
double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

TEST_F(EngineTest, FreshLongPromptsLeaveANeighbourItsShare) {
  FakeGate gate;
  StartStarter(
      {.context_tokens = 1024, .max_sequences = 8, .threads = 1, .gate = &gate, .stream = {.tokens_max = 1000}});
  ports::GenerationRequest story = Of("victim", Greedy("Tell a long story", 200));
  story.sampling.logit_bias = {{0, -100}, {1, -100}, {2, -100}};
  const auto tell = [&] {
    const double before = ProcessorSeconds();
    const auto answer = Ask(story);
    EXPECT_EQ(answer.finished.completion_tokens, 200);
    return ProcessorSeconds() - before;
  };
  std::atomic<bool> stop = false;
  std::atomic<bool> pause = true;
  std::atomic<int> asking = 0;
  std::atomic<int> read = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 2; ++i) {
    clients.emplace_back([&, i] {
      for (int n = 0; !stop; ++n) {
        ++asking;
        if (pause) {
          --asking;
          std::this_thread::sleep_for(std::chrono::milliseconds(1));
          continue;
        }
        std::string prompt = fmt::format("{} {}", i, n);
        for (int word = 0; word < 100; ++word) prompt += " tell me a b c d ";
        auto generation = engine_->Submit(Of("long", Greedy(prompt.substr(0, 1400), 1)));
        if (generation && ReadAll(**generation)) ++read;
        --asking;
      }
    });
  }
  // A machine that is shared is not as fast at one time as at another: both sides are measured close together, and
  // often.
  std::vector<double> ratios;
  tell();
  for (int round = 0; round < 5; ++round) {
    const double alone = tell();
    pause = false;
    const int before = read;
    EXPECT_TRUE(Eventually([&] { return read > before + 2; }));
    ratios.push_back(tell() / alone);
    pause = true;
    EXPECT_TRUE(Eventually([&] { return asking == 0; }));
  }
  stop = true;
  for (std::thread& client : clients) client.join();
  std::ranges::sort(ratios);
  EXPECT_LT(ratios[ratios.size() / 2], 3) << "from " << ratios.front() << " to " << ratios.back();
  engine_.reset();  // before its gate
}

// Five hundred words that all begin in the same way, so that each of them is a state to be followed, and none of
// which the model would ever say.
std::string ManyWords() {
  std::string words = "root ::= (";
  for (int i = 0; i < 500; ++i) words += (i == 0 ? "\"" : " | \"") + std::string("zqzqz") + std::to_string(i) + "\"";
  return words + ")+";
}

TEST_F(EngineTest, NobodyWaitsForTheConstraintOfAnother) {
  if (test::kInstrumented) GTEST_SKIP() << "constraints are cut by time, which instrumented code takes more of";
  FakeRecorder recorder;
  Start({.max_sequences = 4, .usage = &recorder, .stream = {.tokens_max = 1000}});
  ports::GenerationRequest costly = Of("costly", Greedy("habari", 400));
  costly.constraint = ports::GrammarConstraint{ManyWords()};
  costly.request_id = "costly";
  std::vector<std::unique_ptr<ports::Generation>> attack;
  for (int i = 0; i < 3; ++i) attack.push_back(*engine_->Submit(costly));
  EXPECT_TRUE(Eventually([&] { return engine_->status().active_sequences == 3; }));
  ports::GenerationRequest plain = Of("plain", Greedy("asubuhi", 100));
  plain.request_id = "plain";
  EXPECT_EQ(Ask(plain).finished.completion_tokens, 100);
  // In step with its neighbours it would have sampled no more than each of them.
  const int sampled = recorder.Of("costly").sampled;
  EXPECT_LT(sampled, 3 * 50) << "the neighbour's steps waited for the constraints";
  for (auto& one : attack) one.reset();
  engine_.reset();  // before what it records to
}

TEST_F(EngineTest, ConstrainedOnesGoOnBesideNeighboursThatNeedNoConstraint) {
  Start({.max_sequences = 4});
  auto plain = *engine_->Submit(Of("plain", Greedy("asubuhi", 0)));
  ports::GenerationRequest constrained = Of("constrained", Greedy("habari", 100));
  constrained.constraint = ports::GrammarConstraint{R"(root ::= "yes indeed" | "no")"};
  const Answer answer = Ask(constrained);
  EXPECT_TRUE(answer.text == "yes indeed" || answer.text == "no") << answer.text;
}

TEST_F(EngineTest, WhatIsRefusedIsChargedAsWell) {
  FakeGate gate;
  Start({.gate = &gate});
  ports::GenerationRequest request = Greedy("a", 4);
  std::string grammar = "root ::= a0\n";
  for (int i = 0; i < 2000; ++i) grammar += fmt::format("a{} ::= \"x\" a{}\n", i, i + 1);
  request.constraint = ports::GrammarConstraint{grammar};  // the last one is not defined
  EXPECT_EQ(Refusal(request).reason, "INVALID_CONSTRAINT");
  EXPECT_GT(gate.aside_us, 0);
  engine_.reset();  // before its gate
}

TEST_F(EngineTest, WhoWaitsTooLongForAPlaceIsToldToComeAgain) {
  Start({.max_sequences = 1, .queue_wait_max = 300ms, .stream = {.tokens_max = 2}});
  auto stalled = *engine_->Submit(Of("a", Greedy("habari", 0)));  // nobody reads it
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 1; }));
  auto waiting = *engine_->Submit(Of("b", Greedy("habari", 4)));
  const auto answer = ReadAll(*waiting);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reason, "QUEUE_TIMEOUT");
  EXPECT_TRUE(answer.error().retry_after);
  EXPECT_TRUE(Eventually([&] { return engine_->status().queued_requests == 0; }));
}

TEST_F(EngineTest, TheLastPlaceAndItsCellsAreForWhoHasNone) {
  Start({.context_tokens = 128,
         .max_sequences = 4,
         .kv_tokens = 512,
         .newcomer_sequences = 1,
         .newcomer_kv_tokens = 128,
         .stream = {.tokens_max = 2}});
  std::vector<std::unique_ptr<ports::Generation>> held;
  for (const char* tenant : {"a", "b", "a", "b"}) held.push_back(*engine_->Submit(Of(tenant, Greedy("habari", 20))));
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 3; }));
  EXPECT_EQ(Ask(Of("c", Greedy("habari", 100))).finished.completion_tokens, 100);
  EXPECT_EQ(engine_->status().queued_requests, 1) << "two tenants together leave a place as well";
  held.clear();
  for (int i = 0; i < 4; ++i) held.push_back(*engine_->Submit(Of("a", Greedy("habari", 0))));
  ASSERT_TRUE(Eventually([&] { return engine_->status().kv_tokens_reserved == 3 * 128; }));
  const Answer answer = Ask(Of("b", Greedy("habari", 0)));
  EXPECT_EQ(answer.finished.prompt_tokens + answer.finished.completion_tokens, 128);
}

TEST_F(EngineTest, AReaderThatStallsLosesItsPlaceToWhoWaits) {
  FakeRecorder recorder;
  Start({.max_sequences = 2, .reader_stall_max = 50ms, .usage = &recorder, .stream = {.tokens_max = 2}});
  ports::GenerationRequest request = Of("a", Greedy("habari", 0));
  request.request_id = "stalled";
  auto first = *engine_->Submit(request);
  ASSERT_TRUE(Eventually([&] { return recorder.Of("stalled").sampled >= 2; }));
  auto second = *engine_->Submit(Of("b", Greedy("asubuhi", 0)));
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 2; }));
  EXPECT_TRUE(recorder.Of("stalled").outcomes.empty()) << "nobody waits";
  EXPECT_EQ(Ask(Of("c", Greedy("habari", 4))).finished.completion_tokens, 4);
  EXPECT_EQ(recorder.Of("stalled").outcomes, std::vector{ports::UsageOutcome::kCancelled});
  const auto ended = ReadAll(*first);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().reason, "READER_TOO_SLOW");
  EXPECT_EQ(engine_->status().active_sequences, 1) << "the other had no need to go";
  second.reset();
  engine_.reset();  // before what it records to
}

TEST_F(EngineTest, OnlyItsOwnStalledOnesEndForATenantAtItsLimit) {
  Start({.max_sequences = 4, .tenant_sequences_max = 1, .reader_stall_max = 1ms, .stream = {.tokens_max = 2}});
  auto others = *engine_->Submit(Of("a", Greedy("habari", 0)));
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 1; }));
  auto own = *engine_->Submit(Of("b", Greedy("habari", 0)));
  ASSERT_TRUE(Eventually([&] { return engine_->status().active_sequences == 2; }));
  EXPECT_EQ(Ask(Of("b", Greedy("habari", 4))).finished.completion_tokens, 4);
  EXPECT_EQ(ReadAll(*own).error().reason, "READER_TOO_SLOW");
  EXPECT_EQ(engine_->status().active_sequences, 1) << "the neighbour's goes on";
}

TEST_F(EngineTest, UsageIsCountedAndFinishedOnceForEachRequest) {
  FakeRecorder recorder;
  Start({.max_sequences = 2, .usage = &recorder, .stream = {.tokens_max = 4}});
  const auto with_id = [](const char* id, ports::GenerationRequest request) {
    request.request_id = id;
    return request;
  };
  const Answer answer = Ask(with_id("whole", Greedy("habari ya asubuhi", 24)));
  EXPECT_EQ(recorder.Of("whole").computed, answer.finished.prompt_tokens);
  EXPECT_EQ(recorder.Of("whole").sampled, 24);
  EXPECT_EQ(recorder.Of("whole").outcomes, std::vector{ports::UsageOutcome::kCompleted});
  Ask(with_id("again", Greedy("habari ya asubuhi", 24)));
  EXPECT_EQ(recorder.Of("again").computed, 1);
  EXPECT_EQ(recorder.Of("again").cached, answer.finished.prompt_tokens - 1);

  auto cancelled = *engine_->Submit(with_id("cancelled", Greedy("a", 0)));
  ASSERT_TRUE(Eventually([&] { return recorder.Of("cancelled").sampled >= 4; }));
  cancelled.reset();
  ASSERT_TRUE(Eventually([&] { return !recorder.Of("cancelled").outcomes.empty(); }));
  EXPECT_EQ(recorder.Of("cancelled").outcomes, std::vector{ports::UsageOutcome::kCancelled});

  auto stopped = *engine_->Submit(with_id("stopped", Greedy("a", 0)));
  EXPECT_EQ(Refusal(with_id("refused", Greedy("a", 1))).reason, "USAGE_RING_FULL");
  engine_.reset();
  EXPECT_EQ(recorder.Of("stopped").outcomes, std::vector{ports::UsageOutcome::kFailed});
}

TEST_F(EngineTest, StatusHasTheFiguresForMetrics) {
  Start();
  Ask(Greedy("habari", 10));
  const EngineStatus status = engine_->status();
  EXPECT_EQ(status.first_tokens_total, 1);
  EXPECT_GT(status.first_token_seconds_total, 0);
  EXPECT_EQ(status.first_token_seconds_recent_max, status.first_token_seconds_total);
  EXPECT_EQ(status.sampled_tokens_total, 10);
  EXPECT_GT(status.compute_seconds_total, 0);
}

TEST_F(EngineTest, GenerativeModelsMakeNoEmbeddings) {
  Start();
  EXPECT_EQ(engine_->Embed({.inputs = {"a"}}).error().reason, "MODEL_NOT_EMBEDDING");
}

}  // namespace
}  // namespace allod::inference::engine::llama_engine_pool_test
