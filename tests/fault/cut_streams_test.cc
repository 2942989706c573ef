// Streams that are cut in every way while what carries them dies: what is billed is what was delivered, as
// docs/billing-contract.md says it, and nothing stays open.
//
// ALLOD_FAULT_STREAMS=10000 for the long form, ALLOD_FAULT_SEED for another run.
#include <gmock/gmock.h>

#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "tests/fault/money_fixture.h"
#include "tests/support/pg_server.h"

namespace allod::fault::cut_streams_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::IsEmpty;
using Kind = Operation::Kind;

constexpr int kClients = 16;
constexpr int kTimeLimitMs = 2000;
constexpr Kind kKinds[] = {Kind::kStream, Kind::kReset, Kind::kClose, Kind::kHalfClose, Kind::kStall, Kind::kWhole};

int Setting(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

TEST(CutStreams, WhatIsBilledIsWhatWasDelivered) {
  MoneySystem system(kTimeLimitMs);
  const int wanted = Setting("ALLOD_FAULT_STREAMS", 400);
  const auto seed = static_cast<unsigned>(Setting("ALLOD_FAULT_SEED", 1));
  std::atomic<int> left{wanted};
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      std::mt19937 random(seed * 1000 + static_cast<unsigned>(client));
      while (left-- > 0) {
        const int gateway = static_cast<int>(random() % MoneySystem::kGateways);
        // Some longer than the time that a request may take.
        const bool is_late = random() % 40 == 0;
        const auto tokens = is_late ? 300 : static_cast<std::int64_t>(1 + random() % 60);
        const int pause = is_late ? 20 : static_cast<int>(random() % 3);
        (void)system.Ask(gateway, kKinds[random() % std::size(kKinds)], tokens, 1 + random() % 4, pause);
      }
    });
  }
  std::map<std::string, int> faults;
  // Here, because a process ends with the thread that started it.
  try {
    std::mt19937 random(seed);
    bool larger = false;
    while (left > 0) {
      std::this_thread::sleep_for(milliseconds(100 + random() % 200));
      switch (random() % 9) {
        case 0:
          ++faults["gateway killed"];
          system.KillGateway(static_cast<int>(random() % MoneySystem::kGateways));
          break;
        case 1:
          ++faults["billing killed"];
          system.KillBilling();
          break;
        case 2:
          ++faults["worker killed"];
          system.RestartWorker();
          break;
        case 3:
          if (PgServer::Get().Crash()) ++faults["database crashed"];
          break;
        case 4:
          ++faults["route away and back"];
          system.routes().SetTargets({});
          std::this_thread::sleep_for(milliseconds(50));
          system.routes().SetTargets({system.worker_target()});
          break;
        case 5:
          ++faults["instance rolled"];
          larger = !larger;
          system.routes().Update([&](auto& route) { route.set_context_tokens(larger ? 5120 : 4096); },
                                 system.worker_target());
          system.RestartWorker();
          break;
        case 6:
          ++faults["Redis killed, all in it gone"];
          system.redis().Kill();
          std::this_thread::sleep_for(milliseconds(50));
          system.redis().Start();
          break;
        case 7:
          ++faults["connection cut at COMMIT"];
          system.cutter().CutNext(random() % 2 == 0 ? CommitCutter::Where::kBeforeTheServerSeesIt
                                                    : CommitCutter::Where::kAfterTheServerDidIt);
          break;
        case 8:
          ++faults["Redis frozen"];
          system.redis().Freeze();
          std::this_thread::sleep_for(milliseconds(200));
          system.redis().Thaw();
          break;
      }
      (void)system.StartDead();
    }
  } catch (const std::exception& e) {
    ADD_FAILURE() << e.what();
    left = 0;
  }
  for (std::thread& client : clients) client.join();
  (void)system.StartDead();
  const auto start = std::chrono::steady_clock::now();
  while (system.calls_open() > 0 && std::chrono::steady_clock::now() - start < seconds(5)) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(system.calls_open(), 0) << "streams are open 5 s after their clients have gone";
  const auto settled = system.AwaitSettled(seconds(30));
  EXPECT_TRUE(settled) << "not converged in 30 s";
  system.StopGateways();
  EXPECT_THAT(system.FaultsOfBooks(), IsEmpty());
  EXPECT_THAT(system.FaultsOfOperations(), IsEmpty());
  std::string what;
  for (const auto& [name, count] : faults) what += ", " + name + " " + std::to_string(count) + " times";
  std::printf("%zu streams%s\n", system.operations().size(), what.c_str());
  if (testing::Test::HasFailure()) std::printf("%s\n", system.Logs().c_str());
}

}  // namespace
}  // namespace allod::fault::cut_streams_test
