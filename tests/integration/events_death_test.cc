// Billing that is killed at any moment, and a receiver that fails at any moment: whatever was settled is told at least
// once and in order, and nothing that was not.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "services/common/rpc/timestamp.h"
#include "tests/integration/belongings.h"
#include "tests/support/http_receiver.h"

namespace allod::events_death_test {
namespace {

using nlohmann::json;

constexpr int kKills = 8;
constexpr std::chrono::seconds kConvergeMax{60};

class EventsDeath : public testing::Test {
 protected:
  EventsDeath() {
    MakeTenant(methods_, "ke");
    methods_.Must("billing.CreateEventSink",
                  {{"parent", "tenants/ke"},
                   {"eventSinkId", "erp"},
                   {"eventSink",
                    {{"displayName", "ERP"}, {"url", receiver_.url()}, {"kinds", json::array({"usage.recorded"})}}}});
  }

  // The same id until it is answered.
  void Persist(const std::string& method, const json& request) {
    while (true) {
      try {
        methods_.Must(method, request, Caller::Service("gateway"));
        return;
      } catch (const std::runtime_error&) {
        ++failed_;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }
  void SettleOne() {
    const std::string id = Uuid::V7().ToString();
    const json later = json::parse(ToJson(ToTimestamp(std::chrono::system_clock::now() + std::chrono::minutes(10))));
    Persist("billing.Reserve", {{"requestId", id},
                                {"tenant", "tenants/ke"},
                                {"instance", "tenants/ke/projects/p/instances/i"},
                                {"variant", Programs::kVariant},
                                {"priceBook", Programs::kPriceBook},
                                {"promptTokensMax", 10},
                                {"completionTokensMax", 10},
                                {"expireTime", later}});
    Persist("billing.Settle", {{"requestId", id},
                               {"tenant", "tenants/ke"},
                               {"outcome", "OUTCOME_COMPLETED"},
                               {"promptTokens", 7},
                               {"completionTokens", 3}});
    const std::scoped_lock lock(mutex_);
    settled_.insert(id);
  }
  std::string Receive(const ReceivedRequest& request) {
    const std::scoped_lock lock(mutex_);
    switch (random_() % 5) {
      case 0:
        return HttpReceiver::Response("503 Service Unavailable");
      case 1:
        return "HTTP/1.1 20";  // and no more
      default:
        break;
    }
    for (const json& event : json::parse(request.body)) {
      if (!told_.insert(event.at("id").get<std::string>()).second) {
        ++repeated_;
        continue;
      }
      const std::string sequence = event.at("sequence");
      if (sequence < last_) ++out_of_order_;
      last_ = sequence;
    }
    return HttpReceiver::Response("200 OK");
  }
  std::size_t Told() {
    const std::scoped_lock lock(mutex_);
    return told_.size();
  }

  std::mutex mutex_;
  std::minstd_rand random_{7};
  std::set<std::string> settled_, told_;
  std::string last_;
  int repeated_ = 0, out_of_order_ = 0;
  std::atomic<int> failed_ = 0;
  std::atomic<bool> stop_ = false;
  HttpReceiver receiver_{[this](const ReceivedRequest& request) { return Receive(request); }};
  Programs programs_;
  AllMethods methods_{programs_};
};

TEST_F(EventsDeath, EverySettlementIsToldAtLeastOnceAndInOrder) {
  {
    std::vector<std::jthread> writers;
    for (int i = 0; i < 2; ++i) {
      writers.emplace_back([this] {
        while (!stop_) SettleOne();
      });
    }
    std::minstd_rand random(9);
    for (int round = 0; round < kKills; ++round) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300 + random() % 900));
      programs_.KillAndStartAgain("billing");
    }
    std::this_thread::sleep_for(std::chrono::seconds(1));
    stop_ = true;
  }
  const auto deadline = std::chrono::steady_clock::now() + kConvergeMax;
  while (Told() < settled_.size() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  const std::scoped_lock lock(mutex_);
  EXPECT_EQ(told_, settled_);
  EXPECT_EQ(out_of_order_, 0);
  EXPECT_GT(failed_, 0) << "it was in the midst of it";
  EXPECT_GT(settled_.size(), static_cast<std::size_t>(kKills));
  std::cout << fmt::format("{} kills: {} settled, all told, {} of them again\n", kKills, settled_.size(), repeated_);
}

}  // namespace
}  // namespace allod::events_death_test
