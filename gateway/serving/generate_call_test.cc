// Calls to a worker that ends them at every possible moment: thousands, because what goes wrong there goes wrong
// between two instructions.
#include "gateway/serving/generate_call.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <random>
#include <thread>

#include "allod/inference/v1/worker.grpc.pb.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway::serving::generate_call_test {
namespace {

namespace asio = boost::asio;
using inference::v1::GenerateRequest;
using inference::v1::GenerateResponse;
using std::chrono::steady_clock;

constexpr int kClients = 6;
constexpr int kCallsPerClient = 1500;

// Accepts each request and finishes it at once: the last message and the status arrive together.
class HastyWorker final : public inference::v1::WorkerService::CallbackService {
  class Answer final : public grpc::ServerWriteReactor<GenerateResponse> {
   public:
    Answer() {
      message_.mutable_started()->set_prompt_tokens(7);
      StartWrite(&message_);
    }
    void OnWriteDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::CANCELLED);
      message_.mutable_finished()->set_reason(inference::v1::FINISH_REASON_STOP);
      StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
    }
    void OnDone() override { delete this; }

   private:
    GenerateResponse message_;
  };

  grpc::ServerWriteReactor<GenerateResponse>* Generate(grpc::CallbackServerContext*, const GenerateRequest*) override {
    return new Answer();
  }
};

class GenerateCallTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = Server::Start({.listen = target_}, {&worker_});
    ASSERT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
  }

  // Runs `client` for each of kClients, each on a strand of its own, on two threads.
  void RunClients(const std::function<http::Awaitable<void>(int)>& client) {
    asio::io_context io;
    for (int i = 0; i < kClients; ++i) {
      asio::co_spawn(
          asio::make_strand(io), [&client, i] { return client(i); },
          [](std::exception_ptr thrown) { EXPECT_FALSE(thrown); });
    }
    std::thread other([&io] { io.run(); });
    io.run();
    other.join();
  }

  TempDir directory_;
  const std::string target_ = "unix:" + (directory_ / "worker.sock").string();
  HastyWorker worker_;
  std::unique_ptr<Server> server_;
};

// Some of what a coroutine does between two messages: nothing, or up to 100 microseconds.
void Linger(std::minstd_rand& random) {
  const auto until = steady_clock::now() + std::chrono::microseconds(random() % 4 == 0 ? 0 : random() % 100);
  while (steady_clock::now() < until) {
  }
}

TEST_F(GenerateCallTest, AnEndThatComesBetweenTwoReadsIsSeenAndHarmsNothing) {
  std::atomic<int> messages{0}, succeeded{0};
  RunClients([&](int number) -> http::Awaitable<void> {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const auto channel = MakeChannel(target_);
    const auto request = std::make_shared<const GenerateRequest>();
    std::minstd_rand random(static_cast<unsigned>(number + 1));
    for (int i = 0; i < kCallsPerClient; ++i) {
      GenerateCall call(channel, request, steady_clock::now() + std::chrono::seconds(60), Trace::New(), executor);
      while (true) {
        const WorkerCall::Event event = co_await call.Next(WorkerCall::SteadyTime::max());
        if (event == WorkerCall::Event::kEnd) break;
        ++messages;
        Linger(random);
      }
      if (call.status().ok()) ++succeeded;
    }
  });
  EXPECT_EQ(messages, 2 * kClients * kCallsPerClient);
  EXPECT_EQ(succeeded, kClients * kCallsPerClient);
}

TEST_F(GenerateCallTest, ACallMayBeGivenUpAtAnyMoment) {
  std::atomic<int> ended{0};
  RunClients([&](int number) -> http::Awaitable<void> {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const auto channel = MakeChannel(target_);
    const auto request = std::make_shared<const GenerateRequest>();
    std::minstd_rand random(static_cast<unsigned>(number + 1));
    for (int i = 0; i < kCallsPerClient; ++i) {
      GenerateCall call(channel, request, steady_clock::now() + std::chrono::seconds(60), Trace::New(), executor);
      if (random() % 3 != 0) co_await call.Next(WorkerCall::SteadyTime::max());
      Linger(random);
      co_await call.Finish();
      ++ended;
    }
  });
  EXPECT_EQ(ended, kClients * kCallsPerClient);
}

}  // namespace
}  // namespace allod::gateway::serving::generate_call_test
