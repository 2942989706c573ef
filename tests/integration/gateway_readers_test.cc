// Readers that stall and clients that leave, many at once, on a gateway in a process of its own: what they cost, and
// how soon the worker hears of it.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>

#include "tests/integration/gateway_program_fixture.h"
#include "tests/support/instrumented.h"

namespace allod::gateway::gateway_readers_test {
namespace {

using inference::v1::GenerateRequest;
using inference::v1::GenerateResponse;
using SteadyTime = std::chrono::steady_clock::time_point;

// Writes as fast as it may, or, asked for one token, is silent; both until cancelled. Needs no thread per call.
class EndlessWorker final : public inference::v1::WorkerService::CallbackService {
 public:
  grpc::ServerWriteReactor<GenerateResponse>* Generate(grpc::CallbackServerContext*,
                                                       const GenerateRequest* request) override {
    ++calls;
    return new Stream(*this, request->max_completion_tokens() == 1);
  }

  std::atomic<int> calls{0};
  std::atomic<int> cancelled{0};
  std::atomic<std::int64_t> written{0};

 private:
  class Stream final : public grpc::ServerWriteReactor<GenerateResponse> {
   public:
    Stream(EndlessWorker& worker, bool silent) : worker_(worker) {
      message_.mutable_started()->set_prompt_tokens(7);
      if (!silent) StartWrite(&message_);
    }
    void OnWriteDone(bool ok) override {
      if (!ok) return;
      ++worker_.written;
      message_.mutable_delta()->set_text(" asubuhi");
      message_.mutable_delta()->set_token_count(1);
      StartWrite(&message_);
    }
    void OnCancel() override {
      ++worker_.cancelled;
      Finish(grpc::Status::CANCELLED);
    }
    void OnDone() override { delete this; }

   private:
    EndlessWorker& worker_;
    GenerateResponse message_;
  };
};

class GatewayReaders : public GatewayProgramTest {
 protected:
  void SetUp() override {
    GatewayProgramTest::SetUp();
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    // A connection carries 256 calls.
    std::vector<std::string> targets;
    for (auto& server : endless_servers_) {
      const std::string name = "endless" + std::to_string(targets.size());
      StartPeer(server, name, {&endless_});
      targets.push_back(Target(name));
    }
    // More than fits into every buffer on the way, and within what a request may have.
    routes_.Update([](auto& route) { route.set_context_tokens(1 << 20); }, targets.front());
    routes_.SetTargets(targets);
    Configure({{"concurrency_per_key", 100'000}, {"requests_per_minute", 1'000'000}});
    program_ = StartProgram("gateway.log", port_);
  }
  void TearDown() override {
    program_.reset();
    GatewayProgramTest::TearDown();
  }
  std::unique_ptr<HttpClient> StartStream(const std::string& more = "") {
    auto client = std::make_unique<HttpClient>(port_);
    client->Send("POST", "/v1/chat/completions", key_, ChatBody(R"(,"stream":true)" + more));
    return client;
  }

  EndlessWorker endless_;
  std::unique_ptr<Server> endless_servers_[9];
  std::unique_ptr<Process> program_;
  int port_ = 0;
};

TEST_F(GatewayReaders, AStalledReaderCostsAtMost64KiB) {
  if (test::kInstrumented) GTEST_SKIP() << "instrumented programs need other memory";
  const char* asked = std::getenv("ALLOD_TEST_READERS");
  const int count = asked ? std::atoi(asked) : 300;
  std::vector<std::unique_ptr<HttpClient>> readers;
  const auto stall = [&](int more) {
    for (int i = 0; i < more; ++i) {
      readers.push_back(StartStream());
      ASSERT_TRUE(readers.back()->ReadUntil("asubuhi")) << "reader " << readers.size();
    }
    std::int64_t written = -1;
    ASSERT_TRUE(Eventually([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      return std::exchange(written, endless_.written.load()) == endless_.written.load();
    })) << "the worker runs on although nobody reads";
  };
  // What the first ones cost is the price of having any.
  stall(60);
  const std::int64_t before = OwnMemoryBytes(program_->pid());
  if (before == 0) GTEST_SKIP() << "needs CAP_SYS_PTRACE to see what a confined process uses";
  const std::int64_t written_before = endless_.written;
  stall(count);
  const std::int64_t each = (OwnMemoryBytes(program_->pid()) - before) / count;
  printf("%d stalled readers: %lld bytes each, %lld tokens ahead each\n", count, static_cast<long long>(each),
         static_cast<long long>((endless_.written - written_before) / count));
  EXPECT_LE(each, 64 << 10);
}

TEST_F(GatewayReaders, TheWorkerHearsSoonThatAClientLeft) {
  for (const char* when : {"in the middle", "before the first token"}) {
    std::vector<double> milliseconds;
    for (int i = 0; i < 100; ++i) {
      const bool silent = std::string_view(when).starts_with("before");
      const int calls = endless_.calls;
      const int cancelled = endless_.cancelled;
      const auto client = StartStream(silent ? R"(,"max_tokens":1)" : "");
      ASSERT_TRUE(silent || client->ReadUntil("asubuhi"));
      while (endless_.calls == calls) std::this_thread::yield();
      const SteadyTime left = std::chrono::steady_clock::now();
      client->Close();
      while (endless_.cancelled == cancelled) std::this_thread::yield();
      milliseconds.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - left).count());
    }
    std::ranges::sort(milliseconds);
    printf("cancel %s: p50 %.2f ms, p99 %.2f ms\n", when, milliseconds[50], milliseconds[98]);
    EXPECT_LT(milliseconds[98], 100 * test::kSlowness);
  }
}

}  // namespace
}  // namespace allod::gateway::gateway_readers_test
