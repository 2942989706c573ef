// The relay with receivers that answer when the test likes, on a store in memory.
#include "services/billing/events/relay.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "services/billing/events/testing/fake_event_store.h"
#include "services/common/metrics.h"
#include "tests/support/fake_clock.h"

namespace allod::billing::events::relay_test {
namespace {

// Each sink has an event to get, for ever.
class EndlessEvents final : public FakeEventStore {
 public:
  Result<std::vector<SinkKey>> DueSinks(const std::optional<SinkKey>& after, int limit) override {
    std::vector<SinkKey> out;
    for (auto at = after ? sinks.upper_bound(*after) : sinks.begin(); at != sinks.end(); ++at) {
      if (std::ssize(out) == limit) break;
      out.push_back(*at);
    }
    return out;
  }
  Result<std::optional<Pending>> Take(const SinkKey& key) override {
    taken.push_back(key);
    if (broken.contains(key)) return Internal("a row makes no sense");
    Pending out;
    out.sink.tenant = key.tenant;
    out.sink.tenant_name = "tenants/t";
    out.sink.id = key.id;
    out.sink.url = "https://receiver.example/" + key.tenant.ToString() + "/" + key.id;
    OutboxRow row;
    row.sequence = 1;
    row.kind = "wallet.low";
    row.payload = "{}";
    out.rows.push_back(row);
    return out;
  }
  std::set<SinkKey> sinks;
  std::set<SinkKey> broken;
  std::vector<SinkKey> taken;
};

class Receivers final : public Fetcher {
 public:
  void Fetch(FetchRequest request, Done done) override { waiting_.emplace(std::move(request.url), std::move(done)); }
  void AnswerAll() {
    for (auto& [url, done] : std::exchange(waiting_, {})) done("");
  }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  std::multimap<std::string, Done> waiting_;
};

class RelayTest : public testing::Test {
 protected:
  // In the order of the numbers.
  static TenantId TenantNumber(int number) {
    return {Uuid::Parse(fmt::format("{:08x}-0000-5000-8000-000000000000", number)).value()};
  }
  void AddSinks(int tenant, int count) {
    for (int i = 0; i < count; ++i) store_.sinks.insert({TenantNumber(tenant), fmt::format("s{}", i)});
  }
  bool WasTaken(int tenant) const {
    return std::ranges::any_of(store_.taken, [&](const SinkKey& key) { return key.tenant == TenantNumber(tenant); });
  }

  EndlessEvents store_;
  Receivers receivers_;
  const SinkSecrets secrets_{"root"};
  FakeClock clock_;
  Relay relay_{store_, receivers_, secrets_, clock_};
};

TEST_F(RelayTest, TenantsThatHangLeaveRoomForOneThatHasNothingInFlight) {
  for (int tenant = 0; tenant < 16; ++tenant) AddSinks(tenant, 16);
  ASSERT_TRUE(relay_.RunOnce());
  ASSERT_TRUE(relay_.RunOnce());
  EXPECT_LE(receivers_.waiting(), kInFlightMax * 3 / 4) << "16 tenants with four each would be all there is";
  for (int tenant = 0; tenant < 16; ++tenant) EXPECT_TRUE(WasTaken(tenant)) << tenant;
  AddSinks(1000, 1);
  ASSERT_TRUE(relay_.RunOnce());
  EXPECT_TRUE(WasTaken(1000));
}

TEST_F(RelayTest, WhoComesLastHasATurnHoweverManyAreSlow) {
  constexpr int kTenants = 400;
  for (int tenant = 0; tenant < kTenants; ++tenant) AddSinks(tenant, 2);
  std::size_t most = 0;
  for (int round = 0; round < 4 * kTenants / static_cast<int>(kInFlightMax); ++round) {
    ASSERT_TRUE(relay_.RunOnce());
    most = std::max(most, receivers_.waiting());
    receivers_.AnswerAll();  // each takes a round
  }
  EXPECT_EQ(most, kInFlightMax);
  for (int tenant = 0; tenant < kTenants; ++tenant) EXPECT_TRUE(WasTaken(tenant)) << tenant;
}

TEST_F(RelayTest, ASinkHasOneDeliveryAtATimeAndATenantFour) {
  AddSinks(1, 16);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(relay_.RunOnce());
  EXPECT_EQ(store_.taken.size(), kInFlightPerTenantMax);
  EXPECT_EQ(std::set<SinkKey>(store_.taken.begin(), store_.taken.end()).size(), kInFlightPerTenantMax);
  receivers_.AnswerAll();
  ASSERT_TRUE(relay_.RunOnce());
  EXPECT_EQ(store_.taken.size(), 2 * kInFlightPerTenantMax);
}

TEST_F(RelayTest, NothingDueIsNothingDone) {
  EXPECT_EQ(relay_.RunOnce().value(), 0);
  AddSinks(1, 1);
  EXPECT_EQ(relay_.RunOnce().value(), 1);
  store_.sinks.clear();
  EXPECT_EQ(relay_.RunOnce().value(), 0);
  EXPECT_EQ(relay_.RunOnce().value(), 0);
}

// Tenants that are set aside, as it is measured.
double SetAsideNow() {
  return prometheus::BuildGauge()
      .Name("allod_billing_events_tenants_set_aside")
      .Help("Tenants whose work failed last and is tried again later")
      .Register(Metrics())
      .Add({})
      .Value();
}

TEST_F(RelayTest, NobodyIsSetAsideForASinkThatIsGone) {
  AddSinks(1, 1);
  AddSinks(2, 1);
  store_.broken.insert({TenantNumber(1), "s0"});
  ASSERT_TRUE(relay_.RunOnce());
  EXPECT_TRUE(WasTaken(2));
  EXPECT_EQ(SetAsideNow(), 1);
  ASSERT_TRUE(relay_.RunOnce());
  EXPECT_EQ(SetAsideNow(), 1) << "it waits";
  store_.sinks.erase({TenantNumber(1), "s0"});
  ASSERT_TRUE(relay_.RunOnce());
  EXPECT_EQ(SetAsideNow(), 0);
}

}  // namespace
}  // namespace allod::billing::events::relay_test
