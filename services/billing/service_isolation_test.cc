// What cannot be read or written of one tenant keeps nothing of the others from being audited and recorded.
#include "services/billing/testing/service_fixture.h"

namespace allod::billing::service_isolation_test {
namespace {

class BillingIsolation : public ComputedUsageRpc {
 protected:
  void SetUp() override {
    ASSERT_TRUE(CreateBook(Caller::Service("catalog")));
    ASSERT_TRUE(SetAccount(Caller::Operator()));
    ASSERT_TRUE(SetAccount(Caller::Operator(), "100", "TZS", "tz"));
  }
  static TenantId Id(const std::string& tenant) { return *TenantId::FromName("tenants/" + tenant); }
  Result<v1::CheckLedgerResponse> CheckLedger() {
    return As(Caller::Operator(), *ledger_stub_, &v1::LedgerService::Stub::CheckLedger, v1::CheckLedgerRequest());
  }
  Result<v1::CheckUsageResponse> CheckUsage() {
    v1::CheckUsageRequest check;
    check.mutable_start_time()->set_seconds(Seconds() - 3600);
    check.mutable_end_time()->set_seconds(Seconds() + 3600);
    return As(Caller::Operator(), *computed_stub_, &v1::ComputedUsageService::Stub::CheckUsage, check);
  }
  v1::ComputedUsage EventOf(const std::string& tenant, const std::string& id) {
    v1::ComputedUsage event = Event(id);
    event.set_tenant_uid(Id(tenant).ToString());
    event.set_instance("tenants/" + tenant + "/projects/p/instances/i");
    return event;
  }

  const Error damaged_{Code::kInternal, "DATABASE_FAILED", "a row makes no sense"};
  const Error away_{Code::kUnavailable, "DATABASE_UNAVAILABLE", "away"};
};

TEST_F(BillingIsolation, TheAuditNamesTheTenantsThatItCouldNotReadAndReadsTheOthers) {
  for (const char* tenant : {"ke", "tz"}) {
    const std::string other = tenant == std::string("ke") ? "tz" : "ke";
    v1::RecordComputedUsageRequest request;
    *request.add_events() = EventOf(other, other + "/1");
    ASSERT_EQ(Record(request)->recorded_count(), 1);
    store_.broken = {{Id(tenant), damaged_}};
    const auto ledger = CheckLedger();
    ASSERT_TRUE(ledger) << ledger.error().message;
    ASSERT_EQ(ledger->unaudited_tenants_size(), 1);
    EXPECT_EQ(ledger->unaudited_tenants(0), std::string("tenants/") + tenant);
    EXPECT_EQ(ledger->computed_event_count(), 1) << "of the other, whichever of them comes first";
    const auto usage = CheckUsage();
    ASSERT_TRUE(usage) << usage.error().message;
    ASSERT_EQ(usage->unchecked_tenants_size(), 1);
    EXPECT_EQ(usage->unchecked_tenants(0), std::string("tenants/") + tenant);
    EXPECT_EQ(usage->computed_event_count(), 1);
    store_.broken.clear();
  }
  EXPECT_EQ(CheckLedger()->unaudited_tenants_size(), 0);
}

TEST_F(BillingIsolation, ADatabaseThatIsAwayEndsTheAudit) {
  store_.broken = {{Id("ke"), away_}};
  EXPECT_EQ(CheckLedger().error().reason, "DATABASE_UNAVAILABLE");
  EXPECT_EQ(CheckUsage().error().reason, "DATABASE_UNAVAILABLE");
}

TEST_F(BillingIsolation, ABatchIsRecordedButForTheTenantWhoseRowsRefuseIt) {
  for (const char* tenant : {"ke", "tz"}) {
    const std::string other = tenant == std::string("ke") ? "tz" : "ke";
    v1::RecordComputedUsageRequest request;
    *request.add_events() = EventOf(tenant, std::string(tenant) + "/of-the-broken");
    *request.add_events() = EventOf(other, other + "/of-the-other");
    store_.broken = {{Id(tenant), damaged_}};
    const auto first = Record(request);
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(first->recorded_count(), 1) << "the other's";
    EXPECT_EQ(first->refusals_size(), 0) << "a refusal would be final";
    ASSERT_EQ(first->postponed_event_ids_size(), 1) << "the node is to tell it again";
    EXPECT_EQ(first->postponed_event_ids(0), request.events(0).event_id());
    store_.broken.clear();
    const auto again = Record(request);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->recorded_count(), 1) << "the other's was recorded the first time";
    EXPECT_EQ(again->refusals_size() + again->postponed_event_ids_size(), 0);
  }
}

}  // namespace
}  // namespace allod::billing::service_isolation_test
