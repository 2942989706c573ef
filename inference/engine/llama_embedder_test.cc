// Embeddings, on the tiny model made to declare a way of pooling.

#include <atomic>
#include <cmath>
#include <condition_variable>
#include <future>
#include <mutex>
#include <numeric>

#include "inference/engine/llama_engine_fixture.h"

namespace allod::inference::engine::llama_embedder_test {
namespace {

// Opened by hand; knows whether the cores are held.
class HandGate final : public ports::TurnGate {
 public:
  Turn Begin() override {
    std::unique_lock lock(mutex_);
    is_held_ = true;
    ++begun_;
    opened_.wait(lock, [this] { return is_open_; });
    return {};
  }
  void End(std::int32_t /*prompt_tokens*/, std::int32_t /*decode_tokens*/) override {}
  void SpentAside(std::chrono::nanoseconds processor_time) override { aside_ns += processor_time.count(); }
  void Rest() override {
    const std::lock_guard lock(mutex_);
    is_held_ = false;
  }
  void Interrupt() override { Open(); }

  void Open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    opened_.notify_all();
  }
  bool is_held() const {
    const std::lock_guard lock(mutex_);
    return is_held_;
  }
  int begun() const {
    const std::lock_guard lock(mutex_);
    return begun_;
  }
  std::atomic<std::int64_t> aside_ns = 0;

 private:
  mutable std::mutex mutex_;
  std::condition_variable opened_;
  bool is_open_ = false;
  bool is_held_ = false;
  int begun_ = 0;
};

class EmbedderTest : public EngineTest {
 protected:
  void TearDown() override {
    gate_.Open();
    engine_.reset();  // it uses the gate
  }
  void StartEmbedding(std::uint32_t pooling, const EngineOptions& options = {}) {
    Start(options, {.pooling = pooling});
  }
  // Of a tenant; `done` is called with it when it was answered.
  Status Submit(const std::string& tenant, std::size_t inputs, std::function<void(Result<ports::Embeddings>)> done) {
    const ports::EmbeddingRequest request{.inputs = std::vector<std::string>(inputs, "habari"), .tenant_uid = tenant};
    return engine_->SubmitEmbedding(request, {}, std::move(done));
  }

  HandGate gate_;
};

double Dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST_F(EmbedderTest, VectorsHaveLengthOneAndDependOnTheirInputOnly) {
  for (const std::uint32_t pooling : {1U, 3U}) {
    StartEmbedding(pooling);
    const auto out = engine_->Embed({.inputs = {"habari ya asubuhi", "na karibu", "habari ya asubuhi"}});
    ASSERT_TRUE(out) << out.error().message;
    ASSERT_EQ(out->vectors.size(), 3U);
    for (const auto& vector : out->vectors) {
      EXPECT_EQ(vector.size(), 64U);
      EXPECT_NEAR(Dot(vector, vector), 1.0, 1e-5);
    }
    EXPECT_NEAR(Dot(out->vectors[0], out->vectors[2]), 1.0, 1e-5);
    EXPECT_LT(Dot(out->vectors[0], out->vectors[1]), 0.999);
    EXPECT_GT(out->prompt_tokens, 6);
    EXPECT_EQ(engine_->status().prompt_tokens_total, out->prompt_tokens);
  }
}

TEST_F(EmbedderTest, OtherDimensionsThanItsOwnAreRefusedBeforeAnythingIsComputed) {
  StartEmbedding(1);
  const auto refused = engine_->Embed({.inputs = {"habari"}, .dimensions = 32}).error();
  EXPECT_EQ(refused.code, Code::kInvalidArgument);
  EXPECT_EQ(refused.reason, "WRONG_DIMENSIONS");
  EXPECT_THAT(refused.message, HasSubstr("must be 64"));
  EXPECT_EQ(engine_->status().prompt_tokens_total, 0);
  EXPECT_TRUE(engine_->Embed({.inputs = {"habari"}, .dimensions = 64}));
}

TEST_F(EmbedderTest, WhatItCannotEmbedIsRefused) {
  StartEmbedding(1);
  EXPECT_EQ(engine_->Embed({}).error().reason, "INVALID_INPUT");
  EXPECT_EQ(engine_->Embed({.inputs = std::vector<std::string>(257, "a")}).error().reason, "INVALID_INPUT");
  const auto error = engine_->Embed({.inputs = {"a", std::string(2000, 'z')}}).error();
  EXPECT_EQ(error.reason, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_THAT(error.message, HasSubstr("inputs[1]"));
  EXPECT_EQ(engine_->Embed({.inputs = {"a"}}, [] { return true; }).error().reason, "CANCELLED");
  EXPECT_EQ(Refusal(Greedy("a", 1)).reason, "MODEL_NOT_GENERATIVE");
}

TEST_F(EmbedderTest, TheCoresAreGivenBackWhoeverWasTheLastToWait) {
  StartEmbedding(1, {.gate = &gate_});
  auto first = std::async([&] { return engine_->Embed({.inputs = {"habari"}}); });
  ASSERT_TRUE(Eventually([&] { return gate_.begun() == 1; }));
  std::atomic<bool> is_cancelled = false;
  auto second = std::async([&] { return engine_->Embed({.inputs = {"habari"}}, [&] { return is_cancelled.load(); }); });
  ASSERT_TRUE(Eventually([&] { return engine_->status().queued_requests == 1; }));
  is_cancelled = true;
  EXPECT_TRUE(gate_.is_held());
  gate_.Open();
  EXPECT_TRUE(first.get());
  EXPECT_EQ(second.get().error().reason, "CANCELLED");
  EXPECT_TRUE(Eventually([&] { return !gate_.is_held(); })) << "the neighbours stand still";
}

TEST_F(EmbedderTest, OneWithManyTextsDoesNotKeepAnotherWaiting) {
  StartEmbedding(1, {.gate = &gate_});
  std::mutex mutex;
  std::string order;
  const auto submit = [&](const std::string& tenant, std::size_t inputs) {
    EXPECT_TRUE(Submit(tenant, inputs, [&, tenant](const Result<ports::Embeddings>& out) {
      EXPECT_TRUE(out);
      const std::lock_guard lock(mutex);
      order += tenant;
    }));
  };
  for (int i = 0; i < 4; ++i) submit("a", 30);
  submit("b", 1);
  submit("b", 3);
  gate_.Open();
  EXPECT_TRUE(Eventually([&] {
    const std::lock_guard lock(mutex);
    return order.size() == 6;
  }));
  EXPECT_EQ(order, "bbaaaa");
}

TEST_F(EmbedderTest, OneTenantCannotFillTheQueue) {
  StartEmbedding(1, {.queue_max = 8, .tenant_queue_max = 2, .gate = &gate_});
  const auto ignore = [](const Result<ports::Embeddings>&) {};
  EXPECT_TRUE(Submit("a", 1, ignore));
  EXPECT_TRUE(Submit("a", 1, ignore));
  const auto refused = Submit("a", 1, ignore);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "QUEUE_FULL");
  EXPECT_TRUE(refused.error().retry_after);
  EXPECT_TRUE(Submit("b", 1, ignore));
  gate_.Open();
  EXPECT_TRUE(Eventually([&] { return !gate_.is_held(); }));
}

TEST_F(EmbedderTest, AFullQueueMakesAPlaceForATenantThatHasNone) {
  StartEmbedding(1, {.queue_max = 2, .gate = &gate_});
  std::promise<std::string> reason;
  const auto ignore = [](const Result<ports::Embeddings>&) {};
  EXPECT_TRUE(Submit("a", 1, ignore));
  EXPECT_TRUE(
      Submit("a", 1, [&](const Result<ports::Embeddings>& out) { reason.set_value(out ? "" : out.error().reason); }));
  EXPECT_TRUE(Submit("b", 1, ignore));
  EXPECT_EQ(reason.get_future().get(), "QUEUE_FULL");
  gate_.Open();
  EXPECT_TRUE(Eventually([&] { return !gate_.is_held(); }));
}

TEST_F(EmbedderTest, TokenisingIsChargedAlsoWhenItComesToNothing) {
  StartEmbedding(1, {.gate = &gate_});
  EXPECT_EQ(engine_->Embed({.inputs = {std::string(20000, 'z')}}).error().reason, "CONTEXT_LENGTH_EXCEEDED");
  EXPECT_GT(gate_.aside_ns, 0);
}

TEST_F(EmbedderTest, WhoWaitsTooLongIsToldToComeAgainAndAStopIsTold) {
  StartEmbedding(1, {.queue_wait_max = 1ms, .gate = &gate_});
  std::promise<std::string> reason;
  EXPECT_TRUE(
      Submit("a", 1, [&](const Result<ports::Embeddings>& out) { reason.set_value(out ? "" : out.error().reason); }));
  std::this_thread::sleep_for(2ms);  // longer than it may wait
  gate_.Open();
  EXPECT_EQ(reason.get_future().get(), "QUEUE_TIMEOUT");

  HandGate closed;
  StartEmbedding(1, {.gate = &closed});
  std::promise<std::string> stopped;
  EXPECT_TRUE(
      Submit("a", 1, [&](const Result<ports::Embeddings>& out) { stopped.set_value(out ? "" : out.error().reason); }));
  engine_.reset();
  EXPECT_EQ(stopped.get_future().get(), "ENGINE_STOPPED");
  EXPECT_FALSE(closed.is_held());
}

}  // namespace
}  // namespace allod::inference::engine::llama_embedder_test
