// Leases over a real connection: what is asked, refused, told and answered.
#include <gmock/gmock.h>

#include <future>

#include "services/billing/testing/service_fixture.h"
#include "services/common/rpc/timestamp.h"

namespace allod::billing::lease_service_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LeaseRpc : public BillingRpc {
 protected:
  void SetUp() override {
    ASSERT_TRUE(CreateBook(Caller::Operator()));  // 50 and 150.5 a million
    ASSERT_TRUE(SetAccount(Caller::Operator(), "10"));
  }

  v1::AdjustLeaseRequest Adjustment(std::int64_t epoch, const std::string& need, const std::string& want) {
    v1::AdjustLeaseRequest request;
    request.set_lease_id(lease_);
    request.set_tenant("tenants/ke");
    request.set_gateway_id(gateway_);
    request.set_epoch(epoch);
    request.set_need(need);
    request.set_want(want);
    *request.mutable_send_time() = ToTimestamp(clock_.Now());
    return request;
  }
  v1::PriceTerms Terms() const {
    v1::PriceTerms terms;
    terms.set_price_book("priceBooks/" + book_id_.ToString());
    terms.set_variant("models/desk/versions/1/variants/q4_k_m");
    return terms;
  }
  Result<v1::AdjustLeaseResponse> Adjust(const v1::AdjustLeaseRequest& request,
                                         const Caller& caller = Caller::Service("gateway")) {
    return As(caller, *leases_stub_, &v1::LeaseService::Stub::AdjustLease, request);
  }

  v1::LeasedUsage Usage(int prompt, int completion) {
    v1::LeasedUsage usage;
    usage.set_request_id(Uuid::V7(clock_.Now()).ToString());
    usage.set_lease_id(lease_);
    usage.set_instance("tenants/ke/projects/desk/instances/helper");
    usage.set_api_key("tenants/ke/projects/desk/apiKeys/a1");
    *usage.mutable_terms() = Terms();
    usage.set_prompt_tokens_max(40);
    usage.set_completion_tokens_max(200);
    usage.set_outcome(v1::OUTCOME_COMPLETED);
    usage.set_prompt_tokens(prompt);
    usage.set_completion_tokens(completion);
    return usage;
  }
  Result<v1::SettleBatchResponse> Settle(const std::vector<v1::LeasedUsage>& usage,
                                         const Caller& caller = Caller::Service("gateway")) {
    v1::SettleBatchRequest request;
    request.set_tenant("tenants/ke");
    for (const v1::LeasedUsage& each : usage) *request.add_usage() = each;
    return As(caller, *leases_stub_, &v1::LeaseService::Stub::SettleBatch, request);
  }
  // The reason of each, or its cost.
  std::vector<std::string> Results(const std::vector<v1::LeasedUsage>& usage) {
    std::vector<std::string> out;
    const auto response = Settle(usage).value();
    for (const v1::SettleResult& result : response.results()) {
      out.push_back(result.reason().empty() ? result.cost() : result.reason());
      EXPECT_EQ(result.reason().empty(), result.message().empty());
    }
    return out;
  }
  v1::CheckLedgerResponse Ledger() {
    return As(Caller::Operator(), *ledger_stub_, &v1::LedgerService::Stub::CheckLedger, v1::CheckLedgerRequest())
        .value();
  }

  const std::string lease_ = Uuid::V7().ToString();
  const std::string gateway_ = Uuid::FromName("gateways/one").ToString();
};

TEST_F(LeaseRpc, GoesFromTheSliceToTheInvoice) {
  v1::AdjustLeaseRequest request = Adjustment(1, "0.0321", "2");
  *request.add_terms() = Terms();
  const auto made = Adjust(request);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->currency_code(), "KES");
  EXPECT_EQ(made->added(), "2");
  EXPECT_EQ(made->remaining(), "2");
  EXPECT_FALSE(made->recalled());
  ASSERT_EQ(made->prices_size(), 1);
  EXPECT_EQ(made->prices(0).prompt(), "0.00005");
  EXPECT_EQ(made->prices(0).completion(), "0.0001505");
  EXPECT_GT(made->admit_for().seconds(), 60);
  EXPECT_LE(made->admit_for().seconds(), 120);
  EXPECT_LE(made->ends_after().seconds(), 600);
  EXPECT_EQ(Ledger().open_lease_count(), 1);
  EXPECT_EQ(Ledger().mismatched_accounts_size(), 0);

  EXPECT_THAT(Results({Usage(31, 17), Usage(31, 0)}), ElementsAre("0.0041085", "0.00155"));
  const auto invoice = Invoice("tenants/ke/invoices/current");
  ASSERT_TRUE(invoice) << invoice.error().message;
  EXPECT_EQ(invoice->total().amount(), "0.0056585");
  EXPECT_EQ(invoice->lines(0).request_count(), 2);
  v1::AdjustLeaseRequest end = Adjustment(2, "", "");
  end.set_end(true);
  const auto ended = Adjust(end);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->remaining(), "0");
  EXPECT_EQ(ended->ends_after().seconds(), 0);
  EXPECT_EQ(Adjust(Adjustment(3, "", "1")).error().reason, "LEASE_ENDED");
  const v1::CheckLedgerResponse check = Ledger();
  EXPECT_EQ(check.open_lease_count(), 0);
  EXPECT_EQ(check.sums(0).amount(), "0");
  EXPECT_EQ(check.mismatched_accounts_size(), 0);
  EXPECT_EQ(check.usage_record_count(), 2);
}

TEST_F(LeaseRpc, IsForServicesOnly) {
  for (const Caller& caller : {Caller::Tenant("ke"), Caller::Operator(), Caller::Node("n")}) {
    EXPECT_EQ(Adjust(Adjustment(1, "", "1"), caller).error().code, Code::kPermissionDenied);
    EXPECT_EQ(Settle({Usage(1, 1)}, caller).error().code, Code::kPermissionDenied);
  }
}

TEST_F(LeaseRpc, RefusesMalformedAdjustments) {
  const auto reason = [&](auto change) {
    v1::AdjustLeaseRequest request = Adjustment(1, "0.1", "1");
    change(request);
    const auto answer = Adjust(request);
    return answer ? std::string("adjusted") : answer.error().reason;
  };
  EXPECT_EQ(reason([](auto& r) { r.set_lease_id("x"); }), "INVALID_UUID");
  EXPECT_EQ(reason([](auto& r) { r.set_gateway_id(""); }), "INVALID_UUID");
  EXPECT_EQ(reason([](auto& r) { r.set_tenant("ke"); }), "INVALID_NAME");
  EXPECT_EQ(reason([](auto& r) { r.set_epoch(0); }), "INVALID_EPOCH");
  EXPECT_EQ(reason([](auto& r) { r.set_need("-1"); }), "INVALID_AMOUNT");
  EXPECT_EQ(reason([](auto& r) { r.set_need("2"); }), "INVALID_AMOUNT") << "more than is wanted";
  EXPECT_EQ(reason([](auto& r) { r.set_want("1e3"); }), "INVALID_AMOUNT");
  EXPECT_EQ(reason([](auto& r) { r.set_end(true); }), "INVALID_AMOUNT");
  EXPECT_EQ(reason([](auto& r) { r.add_terms()->set_variant("x"); }), "INVALID_NAME");
  EXPECT_EQ(reason([&](auto& r) {
              for (int i = 0; i < 17; ++i) *r.add_terms() = Terms();
            }),
            "TOO_MANY_TERMS");
  EXPECT_EQ(reason([](auto& r) { r.set_tenant("tenants/tz"); }), "NO_BILLING_ACCOUNT");
  EXPECT_EQ(reason([](auto&) {}), "adjusted");
}

TEST_F(LeaseRpc, AGatewayWhoseClockIsWrongGetsNoMoney) {
  const auto adjust = [&](std::chrono::seconds off, bool end = false) {
    v1::AdjustLeaseRequest request = end ? Adjustment(2, "", "") : Adjustment(1, "0.1", "1");
    request.set_end(end);
    *request.mutable_send_time() = ToTimestamp(clock_.Now() + off);
    return Adjust(request);
  };
  for (const std::chrono::seconds off : {std::chrono::seconds(-15min - 1s), std::chrono::seconds(15min + 1s)}) {
    const auto refused = adjust(off);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
    EXPECT_EQ(refused.error().reason, "CLOCK_SKEW");
    EXPECT_THAT(refused.error().message, HasSubstr("2026-11-23T18:00:00Z")) << "billing's";
    EXPECT_THAT(refused.error().message, HasSubstr(off < 0s ? "2026-11-23T17:44:59Z" : "2026-11-23T18:15:01Z"));
  }
  v1::AdjustLeaseRequest silent = Adjustment(1, "0.1", "1");
  silent.clear_send_time();
  EXPECT_EQ(Adjust(silent).error().reason, "CLOCK_SKEW");
  EXPECT_EQ(Ledger().open_lease_count(), 0) << "so nothing runs";
  EXPECT_TRUE(adjust(-15min));
  EXPECT_TRUE(adjust(24h, true)) << "what it has it gives back at any time";
}

TEST_F(LeaseRpc, WhatAWrongClockSaysIsBookedIntoNoMonth) {
  ASSERT_TRUE(Adjust(Adjustment(1, "", "1")));
  std::vector<v1::LeasedUsage> usage(6, Usage(31, 0));
  const auto admitted = [&](std::size_t i, Time time) { usage[i].set_request_id(Uuid::V7(time).ToString()); };
  admitted(0, Time(1s));
  admitted(1, clock_.Now() + 15min + 1s);
  admitted(2, clock_.Now() - 15min - 1s);
  admitted(3, clock_.Now() + 15min);
  admitted(4, clock_.Now() - 15min);
  admitted(5, std::chrono::sys_days(std::chrono::year(2019) / 12 / 31));
  usage[5].set_lease_id(Uuid::V7().ToString());
  EXPECT_THAT(Results(usage), ElementsAre("INVALID_REQUEST_ID", "INVALID_REQUEST_ID", "INVALID_REQUEST_ID", "0.00155",
                                          "0.00155", "INVALID_REQUEST_ID"));
  EXPECT_EQ(Ledger().usage_record_count(), 2);
  clock_.Advance(1s);
  EXPECT_THAT(Results({usage[1]}), ElementsAre("0.00155")) << "its time has come";
}

TEST_F(LeaseRpc, OneMalformedRequestHoldsUpNoOther) {
  ASSERT_TRUE(Adjust(Adjustment(1, "", "1")));
  std::vector<v1::LeasedUsage> usage(6, Usage(31, 0));
  for (v1::LeasedUsage& each : usage) each.set_request_id(Uuid::V7(clock_.Now()).ToString());
  usage[0].set_outcome(v1::OUTCOME_EXPIRED);
  usage[2].set_instance("tenants/tz/projects/desk/instances/helper");
  usage[3].mutable_terms()->set_price_book("priceBooks/" + Uuid::V7().ToString());
  usage[4].set_request_id(Uuid::FromName("x").ToString());
  EXPECT_THAT(Results(usage), ElementsAre("INVALID_OUTCOME", "0.00155", "OTHER_TENANT", "PRICE_NOT_FOUND",
                                          "INVALID_REQUEST_ID", "0.00155"));
  EXPECT_EQ(Ledger().usage_record_count(), 2);
  EXPECT_THAT(Results({}), ElementsAre());
  EXPECT_EQ(Settle(std::vector<v1::LeasedUsage>(1001, usage[1])).error().reason, "BATCH_TOO_LARGE");
}

TEST_F(LeaseRpc, ARefusalSaysWhyAndRecallsWhatOthersHave) {
  ASSERT_TRUE(Adjust(Adjustment(1, "9", "9")));
  const auto context = MakeStreamContext(Caller::Service("gateway"));
  v1::WatchRecallsRequest watch;
  watch.set_gateway_id(gateway_);
  const auto reader = leases_stub_->WatchRecalls(context.get(), watch);
  v1::WatchRecallsResponse begun;
  ASSERT_TRUE(reader->Read(&begun));
  EXPECT_TRUE(begun.budgets_changed()) << "of whatever tenant: nothing is missed from here on";
  EXPECT_EQ(begun.tenant(), "");
  auto first = std::async(std::launch::async, [&] {
    v1::WatchRecallsResponse told;
    return reader->Read(&told) ? told : v1::WatchRecallsResponse();
  });
  v1::AdjustLeaseRequest other = Adjustment(1, "2", "2");
  other.set_lease_id(Uuid::V7().ToString());
  other.set_gateway_id(Uuid::V7().ToString());
  // Who misses one is told by the next refusal.
  std::optional<Error> refused;
  while (first.wait_for(20ms) != std::future_status::ready) refused = Adjust(other).error();
  const v1::WatchRecallsResponse told = first.get();
  EXPECT_EQ(told.tenant(), "tenants/ke");
  EXPECT_EQ(told.lease_id(), lease_);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, Code::kResourceExhausted);
  EXPECT_EQ(refused->reason, "INSUFFICIENT_FUNDS");
  EXPECT_EQ(refused->retry_after, 20ms);
  EXPECT_THAT(refused->message, HasSubstr("2 KES"));
  v1::AdjustLeaseRequest give_back = Adjustment(2, "", "");
  give_back.set_give_back("8");
  EXPECT_TRUE(Adjust(give_back)->recalled());
  EXPECT_EQ(Adjust(other)->added(), "2");
  leases_.Stop();
  v1::WatchRecallsResponse more;
  while (reader->Read(&more)) continue;
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(LeaseRpc, AGatewayEndsWhatItsEarlierProcessesHad) {
  ASSERT_TRUE(SetAccount(Caller::Operator(), "10", "TZS", "tz"));
  std::vector<std::string> leases;
  for (int i = 0; i < 6; ++i) {
    v1::AdjustLeaseRequest request = Adjustment(1, "", "1");
    request.set_lease_id(Uuid::V7().ToString());
    if (i >= 4) request.set_tenant("tenants/tz");
    if (i == 3) request.set_gateway_id(Uuid::V7().ToString());
    ASSERT_TRUE(Adjust(request));
    leases.push_back(request.lease_id());
  }
  v1::EndEarlierLeasesRequest request;
  const auto end = [&] {
    return As(Caller::Service("gateway"), *leases_stub_, &v1::LeaseService::Stub::EndEarlierLeases, request);
  };
  EXPECT_EQ(end().error().reason, "INVALID_UUID");
  request.set_gateway_id(gateway_);
  request.add_current(leases[1]);
  request.add_current(leases[5]);
  EXPECT_EQ(end()->ended_count(), 3) << "two of ke, one of tz";
  EXPECT_EQ(end()->ended_count(), 0);
  EXPECT_EQ(Ledger().open_lease_count(), 3);
  for (int i = 0; i < 10'000; ++i) request.add_current(leases[1]);
  EXPECT_EQ(end().error().reason, "TOO_MANY_LEASES");
}

TEST_F(LeaseRpc, TheLedgerCountsLeasesThatNobodyEnds) {
  ASSERT_TRUE(Adjust(Adjustment(1, "", "1")));
  store_.Elapse(12min);
  EXPECT_EQ(Ledger().overdue_lease_count(), 1);
  ASSERT_EQ(store_.ExpireLeases(TenantId::FromName("tenants/ke").value(), 10).value(), 1);
  EXPECT_EQ(Ledger().overdue_lease_count(), 0);
  EXPECT_THAT(Results({Usage(31, 0)}), ElementsAre("0.00155")) << "delivered, and settled late";
}

}  // namespace
}  // namespace allod::billing::lease_service_test
