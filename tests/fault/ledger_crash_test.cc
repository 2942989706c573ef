// A real billing is killed, or made to fail, at each fault point of the calls that change its books, those that no
// gateway makes among them. Whoever calls again until he is answered finds that it happened once.
#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/billing/v1/computed_usage.grpc.pb.h"
#include "allod/billing/v1/invoice.grpc.pb.h"
#include "allod/billing/v1/lease.grpc.pb.h"
#include "allod/billing/v1/price_book.grpc.pb.h"
#include "tests/fault/ledger_crash_fixture.h"

namespace allod::billing::ledger_crash {
namespace {

TEST_F(LedgerCrash, RequestsAreHeldAndSettledOnce) {
  using Usage = v1::UsageService;
  const Caller gateway = Caller::Service("gateway");
  AtEach({kReserveReleased, kReserveWritten, kReserveCommitted, kSettleLocked, kSettleWritten, kSettleCommitted},
         [&](const std::string& tenant) {
           v1::ReserveRequest request = Reservation(tenant, Now(), 10min);
           (void)Insist<Usage>(&Usage::Stub::Reserve, request, gateway);
           const v1::ReserveRequest first = request;
           request.set_revision(1);
           request.set_completion_tokens_max(200);
           (void)Insist<Usage>(&Usage::Stub::Reserve, request, gateway);
           (void)Insist<Usage>(&Usage::Stub::Settle, End(first), gateway);
           (void)Insist<Usage>(&Usage::Stub::Settle, End(first), gateway);
           EXPECT_EQ(Posted(tenant), kCostOfOne);
           EXPECT_TRUE(AwaitNothingHeld(tenant));
         });
}

TEST_F(LedgerCrash, WhatIsDueIsReleasedOnce) {
  using Usage = v1::UsageService;
  AtEach({kExpireWritten, kExpireCommitted}, [&](const std::string& tenant) {
    const v1::ReserveRequest request = Reservation(tenant, Now(), 1s);
    (void)Insist<Usage>(&Usage::Stub::Reserve, request, Caller::Service("gateway"));
    EXPECT_TRUE(AwaitNothingHeld(tenant));
    (void)Insist<Usage>(&Usage::Stub::Settle, End(request), Caller::Service("gateway"));
    EXPECT_EQ(Posted(tenant), kCostOfOne) << "settled late, all the same";
  });
  using Leases = v1::LeaseService;
  AtEach({kExpireLeasesWritten}, [&](const std::string& tenant) {
    v1::AdjustLeaseRequest request;
    request.set_lease_id(Uuid::V7().ToString());
    request.set_tenant("tenants/" + tenant);
    request.set_gateway_id(Uuid::V7().ToString());
    request.set_epoch(1);
    request.set_need("1");
    request.set_want("1");
    *request.mutable_send_time() = ToTimestamp(Now());
    (void)Insist<Leases>(&Leases::Stub::AdjustLease, request, Caller::Service("gateway"));
    {
      pqxx::connection connection(database_.owner_url);
      pqxx::work work(connection);
      work.exec("UPDATE billing.leases SET expire_time = now() WHERE end_time IS NULL");
      work.commit();
    }
    EXPECT_TRUE(AwaitNothingHeld(tenant));
  });
}

TEST_F(LedgerCrash, AccountsAndPricesAreSetOnce) {
  AtEach({kAccountWritten, kAccountCommitted}, [&](const std::string& tenant) {
    v1::SetBillingAccountRequest request;
    request.mutable_billing_account()->set_name("tenants/" + tenant + "/billingAccount");
    request.mutable_billing_account()->set_currency_code("KES");
    request.mutable_billing_account()->set_credit_limit("77");
    request.set_request_id(Uuid::V7().ToString());
    const std::int64_t entries = Count("SELECT count(*) FROM billing.audit_entries");
    (void)Insist<v1::BillingAccountService>(&v1::BillingAccountService::Stub::SetBillingAccount, request);
    EXPECT_EQ(store_.GetBillingAccount(Tenant(tenant))->credit_limit, Kes("77"));
    EXPECT_EQ(Count("SELECT count(*) FROM billing.audit_entries"), entries + 1);
  });
  AtEach({kPriceBookWritten, kPriceBookCommitted}, [&](const std::string& tenant) {
    v1::CreatePriceBookRequest request;
    request.mutable_price_book()->set_name("priceBooks/" + Uuid::FromName(tenant).ToString());
    request.mutable_price_book()->set_listing("listings/crash");
    auto& price = *request.mutable_price_book()->add_prices();
    price.set_currency_code("KES");
    price.set_prompt_price_per_million("1");
    price.set_completion_price_per_million("2");
    (void)Insist<v1::PriceBookService>(&v1::PriceBookService::Stub::CreatePriceBook, request);
    EXPECT_EQ(store_.GetPriceBook(Uuid::FromName(tenant))->prices.size(), 1U);
  });
}

TEST_F(LedgerCrash, WhatANodeComputedIsRecordedOnce) {
  AtEach({kComputedWritten}, [&](const std::string& tenant) {
    const v1::ReserveRequest reservation = Reservation(tenant, Now(), 10min);
    (void)Insist<v1::UsageService>(&v1::UsageService::Stub::Reserve, reservation, Caller::Service("gateway"));
    (void)Insist<v1::UsageService>(&v1::UsageService::Stub::Settle, End(reservation), Caller::Service("gateway"));
    v1::RecordComputedUsageRequest request;
    auto& event = *request.add_events();
    event.set_event_id(Uuid::V7().ToString());
    event.set_request_id(reservation.request_id());
    event.set_tenant_uid(Tenant(tenant).ToString());
    event.set_instance(reservation.instance());
    event.set_node("nodes/n1");
    event.set_replica_uid(Uuid::V7().ToString());
    event.set_prompt_tokens_computed(7);
    event.set_sampled_tokens(14);
    event.set_outcome(v1::COMPUTED_OUTCOME_COMPLETED);
    *event.mutable_start_time() = ToTimestamp(Now() - 1s);
    *event.mutable_end_time() = ToTimestamp(Now());
    using Computed = v1::ComputedUsageService;
    // An answer that something is postponed is no answer yet.
    for (int tries = 0; tries < 100; ++tries) {
      const auto answer = Insist<Computed>(&Computed::Stub::RecordComputedUsage, request, Caller::Node("n1"));
      if (answer.postponed_event_ids().empty()) break;
      std::this_thread::sleep_for(milliseconds(10));
    }
    (void)Insist<Computed>(&Computed::Stub::RecordComputedUsage, request, Caller::Node("n1"));
    EXPECT_EQ(
        Count("SELECT count(*) FROM billing.computed_usage WHERE tenant_id = '" + Tenant(tenant).ToString() + "'"), 1);
  });
}

TEST_F(LedgerCrash, InvoicesAndCreditNotesAreIssuedOnceWithoutAGap) {
  using Invoices = v1::InvoiceService;
  AtEach({kInvoiceNumbered, kInvoiceBooked, kInvoiceWritten, kFinaliseCommitted}, [&](const std::string& tenant) {
    Use(store_, tenant, kOctober + 1h, 31'000, 17'000);
    v1::FinaliseInvoiceRequest request;
    request.set_name("tenants/" + tenant + "/invoices/2025-10");
    const auto invoice = Insist<Invoices>(&Invoices::Stub::FinaliseInvoice, request);
    EXPECT_EQ(invoice.number(), Insist<Invoices>(&Invoices::Stub::FinaliseInvoice, request).number());
  });
  const std::int64_t issued = Count("SELECT count(*) FROM billing.invoices WHERE kind = 'invoice'");
  EXPECT_EQ(Count("SELECT max(sequence) FROM billing.invoices WHERE kind = 'invoice'"), issued);
  AtEach({kInvoiceNumbered, kInvoiceBooked, kInvoiceWritten, kCreditCommitted}, [&](const std::string& tenant) {
    // Invoiced by this process, which nobody kills.
    Use(store_, tenant, kOctober + 1h, 31'000, 17'000);
    ASSERT_TRUE(store_.FinaliseInvoice(Finalise(tenant), Now()));
    v1::CreateCreditNoteRequest request;
    request.set_invoice("tenants/" + tenant + "/invoices/2025-10");
    request.set_reason("a crash");
    request.set_request_id(Uuid::V7().ToString());
    const auto note = Insist<Invoices>(&Invoices::Stub::CreateCreditNote, request);
    EXPECT_EQ(note.number(), Insist<Invoices>(&Invoices::Stub::CreateCreditNote, request).number());
    EXPECT_EQ(Posted(tenant), 0) << "what is credited as a whole leaves nothing owed";
  });
  const std::int64_t credited = Count("SELECT count(*) FROM billing.invoices WHERE kind = 'credit_note'");
  EXPECT_EQ(Count("SELECT max(sequence) FROM billing.invoices WHERE kind = 'credit_note'"), credited);
}

}  // namespace
}  // namespace allod::billing::ledger_crash
