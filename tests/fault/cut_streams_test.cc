// Streams that are cut in every way while what carries them dies: what is billed is what was delivered, as
// docs/billing-contract.md says it, to the token where a client can know it (money_fixture.h), and nothing stays open.
//
// ALLOD_FAULT_STREAMS=10000 for the long form, ALLOD_FAULT_SEED for another run.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
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

// One after the other, so that each is met; then in another order.
enum class Fault {
  kGatewayKilled,
  kBillingKilled,
  kWorkerKilled,
  kDatabaseCrashed,
  kRouteAwayAndBack,
  kInstanceRolled,
  kRedisKilled,
  kCutBeforeCommit,
  kCutAfterCommit,
  kRedisFrozen
};
constexpr std::pair<Fault, const char*> kFaults[] = {{Fault::kGatewayKilled, "gateway killed"},
                                                     {Fault::kBillingKilled, "billing killed"},
                                                     {Fault::kWorkerKilled, "worker killed"},
                                                     {Fault::kDatabaseCrashed, "database crashed"},
                                                     {Fault::kRouteAwayAndBack, "route away and back"},
                                                     {Fault::kInstanceRolled, "instance rolled"},
                                                     {Fault::kRedisKilled, "Redis killed, all in it gone"},
                                                     {Fault::kCutBeforeCommit, "connection cut before COMMIT"},
                                                     {Fault::kCutAfterCommit, "connection cut after COMMIT"},
                                                     {Fault::kRedisFrozen, "Redis frozen"}};

class CutStreams : public testing::Test {
 protected:
  void Disturb(Fault fault) {
    switch (fault) {
      case Fault::kGatewayKilled:
        system_.KillGateway(static_cast<int>(random_() % MoneySystem::kGateways));
        break;
      case Fault::kBillingKilled:
        system_.KillBilling();
        break;
      case Fault::kWorkerKilled:
        system_.RestartWorker();
        break;
      case Fault::kDatabaseCrashed:
        (void)PgServer::Get().Crash();
        break;
      case Fault::kRouteAwayAndBack:
        system_.routes().SetTargets({});
        std::this_thread::sleep_for(milliseconds(50));
        system_.routes().SetTargets({system_.worker_target()});
        break;
      case Fault::kInstanceRolled:
        larger_ = !larger_;
        system_.routes().Update([&](auto& route) { route.set_context_tokens(larger_ ? 5120 : 4096); },
                                system_.worker_target());
        system_.RestartWorker();
        break;
      case Fault::kRedisKilled:
        system_.redis().Kill();
        std::this_thread::sleep_for(milliseconds(50));
        system_.redis().Start();
        break;
      case Fault::kCutBeforeCommit:
      case Fault::kCutAfterCommit: {
        const int before = system_.cutter().cuts();
        system_.cutter().CutNext(fault == Fault::kCutBeforeCommit ? CommitCutter::Where::kBeforeTheServerSeesIt
                                                                  : CommitCutter::Where::kAfterTheServerDidIt);
        for (int i = 0; i < 200 && system_.cutter().cuts() == before; ++i) std::this_thread::sleep_for(milliseconds(5));
        break;
      }
      case Fault::kRedisFrozen:
        system_.redis().Freeze();
        std::this_thread::sleep_for(milliseconds(200));
        system_.redis().Thaw();
        break;
    }
    (void)system_.StartDead();
  }
  // Until none is wanted any more.
  void Client(unsigned seed) {
    std::mt19937 random(seed);
    while (asked_++ < wanted_ || !each_met_) {
      const int gateway = static_cast<int>(random() % MoneySystem::kGateways);
      // Some longer than the time that a request may take.
      const bool is_late = random() % 40 == 0;
      const auto tokens = is_late ? 300 : static_cast<std::int64_t>(1 + random() % 60);
      const int pause = is_late ? 20 : static_cast<int>(random() % 3);
      (void)system_.Ask(gateway, kKinds[random() % std::size(kKinds)], tokens, 1 + random() % 4, pause);
    }
  }

  MoneySystem system_{kTimeLimitMs};
  const int wanted_ = Setting("ALLOD_FAULT_STREAMS", 400);
  const unsigned seed_ = static_cast<unsigned>(Setting("ALLOD_FAULT_SEED", 1));
  std::mt19937 random_{seed_};
  bool larger_ = false;
  std::atomic<int> asked_ = 0;
  std::atomic<bool> each_met_ = false;
};

TEST_F(CutStreams, WhatIsBilledIsWhatWasDelivered) {
  std::vector<std::thread> clients;
  for (unsigned client = 0; client < kClients; ++client) {
    clients.emplace_back([this, client] { Client(seed_ * 1000 + client); });
  }
  std::map<std::string, int> faults;
  // Here, because a process ends with the thread that started it.
  try {
    auto order = std::to_array(kFaults);
    while (asked_ < wanted_ || !each_met_) {
      std::ranges::shuffle(order, random_);
      for (const auto& [fault, name] : order) {
        if (each_met_ && asked_ >= wanted_) break;
        std::this_thread::sleep_for(milliseconds(20 + random_() % 80));
        Disturb(fault);
        ++faults[name];
      }
      each_met_ = true;
    }
  } catch (const std::exception& e) {
    ADD_FAILURE() << e.what();
    asked_ = wanted_;
    each_met_ = true;
  }
  for (std::thread& client : clients) client.join();
  (void)system_.StartDead();
  const auto start = std::chrono::steady_clock::now();
  while (system_.calls_open() > 0 && std::chrono::steady_clock::now() - start < seconds(5)) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(system_.calls_open(), 0) << "streams are open 5 s after their clients have gone";
  EXPECT_TRUE(system_.AwaitSettled(seconds(30))) << "not converged in 30 s";
  system_.StopGateways();
  EXPECT_THAT(system_.FaultsOfBooks(), IsEmpty());
  EXPECT_THAT(system_.FaultsOfOperations(), IsEmpty());
  EXPECT_THAT(system_.FaultsOfEvents(seconds(30)), IsEmpty());
  const auto cut = system_.CountCutStreams();
  EXPECT_GT(2 * cut.exact, cut.count) << "of what clients cut, most did not end through our fault";
  std::string what;
  for (const auto& [name, count] : faults) what += ", " + name + " " + std::to_string(count) + " times";
  std::printf("%zu streams, %d cut by their clients, %d of these billed for just what had come%s\n",
              system_.operations().size(), cut.count, cut.exact, what.c_str());
  if (testing::Test::HasFailure()) std::printf("%s\n", system_.Logs().c_str());
}

}  // namespace
}  // namespace allod::fault::cut_streams_test
