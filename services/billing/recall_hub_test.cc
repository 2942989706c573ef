#include "services/billing/recall_hub.h"

#include <gtest/gtest.h>

namespace allod::billing::recall_hub_test {
namespace {

using namespace std::chrono_literals;
using Recalls = std::vector<RecallHub::Recall>;

const Uuid kOne = Uuid::FromName("gateways/one");
const Uuid kTwo = Uuid::FromName("gateways/two");
const Uuid kLease = Uuid::FromName("leases/a");

class RecallHubTest : public testing::Test {
 protected:
  RecallHub hub_;
  RecallHub::SteadyTime now_ = std::chrono::steady_clock::now();
};

TEST_F(RecallHubTest, TellsThoseWhoseLeaseItIs) {
  auto one = hub_.Join(kOne).value();
  auto two = hub_.Join(kTwo).value();
  hub_.Tell("tenants/ke", {{kOne, kLease}, {kOne, kLease}}, now_);
  EXPECT_EQ(one.Next(0ms), (Recalls{{"tenants/ke", kLease}}));
  EXPECT_EQ(one.Next(0ms), Recalls()) << "nothing is sent again";
  EXPECT_EQ(two.Next(0ms), Recalls());
}

TEST_F(RecallHubTest, TellsOfATenantAtMostOnceInTenMilliseconds) {
  auto one = hub_.Join(kOne).value();
  hub_.Tell("tenants/ke", {{kOne, kLease}}, now_);
  hub_.Tell("tenants/ke", {{kOne, kTwo}}, now_ + 9ms);
  hub_.Tell("tenants/tz", {{kOne, kTwo}}, now_ + 9ms);
  EXPECT_EQ(one.Next(0ms), (Recalls{{"tenants/ke", kLease}, {"tenants/tz", kTwo}}));
  hub_.Tell("tenants/ke", {{kOne, kTwo}}, now_ + 10ms);
  EXPECT_EQ(one.Next(0ms), (Recalls{{"tenants/ke", kTwo}}));
}

TEST_F(RecallHubTest, KeepsSoManyForOneWhoDoesNotListen) {
  auto one = hub_.Join(kOne).value();
  for (std::size_t i = 0; i < RecallHub::kWaitingMax + 10; ++i) {
    hub_.Tell("tenants/ke", {{kOne, Uuid::V7()}}, now_ += 10ms);
  }
  EXPECT_EQ(one.Next(0ms).size(), RecallHub::kWaitingMax);
}

TEST_F(RecallHubTest, HasAnEndOfWatchersAndTheirPlacesAreGivenBack) {
  std::vector<RecallHub::Place> places;
  for (int i = 0; i < RecallHub::kWatchersMax; ++i) places.push_back(hub_.Join(kOne).value());
  EXPECT_EQ(hub_.Join(kOne).error().reason, "TOO_MANY_WATCHERS");
  places.pop_back();
  EXPECT_TRUE(hub_.Join(kOne));
}

}  // namespace
}  // namespace allod::billing::recall_hub_test
