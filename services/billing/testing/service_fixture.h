// The RPCs of billing over a real connection, on the fake store.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "services/billing/billing_account_service.h"
#include "services/billing/computed_usage_service.h"
#include "services/billing/documents/testing/fake_documents.h"
#include "services/billing/invoice_service.h"
#include "services/billing/lease_service.h"
#include "services/billing/ledger_service.h"
#include "services/billing/price_book_service.h"
#include "services/billing/testing/fake_store.h"
#include "services/billing/usage_service.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::billing {

using namespace std::chrono_literals;

// Two tenants, or none when tenancy is down.
class Directory final : public TenantDirectory {
 public:
  Result<std::string> CurrencyOf(const std::string& tenant_name) override {
    if (down) return Fail(Code::kUnavailable, "TENANCY_UNAVAILABLE", "down");
    if (tenant_name == "tenants/ke") return "KES";
    if (tenant_name == "tenants/tz") return "TZS";
    return NotFound("no such tenant");
  }
  bool down = false;
};

// Reads and writes of some tenants fail.
class BreakableStore final : public FakeStore {
 public:
  Result<TenantAudit> AuditTenant(TenantId tenant, Time now, const std::optional<UsageRange>& recent) override {
    ALLOD_CHECK_OK(Check(tenant));
    return FakeStore::AuditTenant(tenant, now, recent);
  }
  Result<UsageCheck> CheckUsage(TenantId tenant, const UsageRange& range, Time now) override {
    ALLOD_CHECK_OK(Check(tenant));
    return FakeStore::CheckUsage(tenant, range, now);
  }
  Result<RecordedEvents> RecordComputedUsage(TenantId tenant, const std::vector<ComputedUsage>& events) override {
    ALLOD_CHECK_OK(Check(tenant));
    return FakeStore::RecordComputedUsage(tenant, events);
  }
  // Before the calls that shall meet it.
  std::map<TenantId, Error> broken;

 private:
  Status Check(TenantId tenant) const {
    const auto found = broken.find(tenant);
    if (found == broken.end()) return {};
    return std::unexpected(found->second);
  }
};

class BillingRpc : public testing::Test {
 protected:
  BillingRpc()
      : books_(store_, clock_, gates_),
        accounts_(store_, directory_, clock_, gates_),
        usage_(store_, clock_, gates_),
        leases_(store_, clock_, gates_),
        computed_(store_, clock_, gates_),
        ledger_(store_, clock_, gates_),
        invoices_(store_, pdf_, clock_, gates_) {
    server_ =
        Server::Start({.listen = address_}, {&books_, &accounts_, &usage_, &leases_, &computed_, &ledger_, &invoices_})
            .value();
    const auto channel = MakeChannel(address_);
    books_stub_ = v1::PriceBookService::NewStub(channel);
    accounts_stub_ = v1::BillingAccountService::NewStub(channel);
    usage_stub_ = v1::UsageService::NewStub(channel);
    leases_stub_ = v1::LeaseService::NewStub(channel);
    computed_stub_ = v1::ComputedUsageService::NewStub(channel);
    ledger_stub_ = v1::LedgerService::NewStub(channel);
    invoices_stub_ = v1::InvoiceService::NewStub(channel);
  }

  template <typename Stub, typename Req, typename Resp>
  Result<Resp> As(const Caller& caller, Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Req&, Resp*), const Req& request) {
    return CallUnary(stub, method, request, caller, 10s);
  }

  Result<v1::PriceBook> CreateBook(const Caller& caller, const std::string& price = "50") {
    v1::CreatePriceBookRequest request;
    request.mutable_price_book()->set_name("priceBooks/" + book_id_.ToString());
    request.mutable_price_book()->set_listing("listings/desk");
    auto& row = *request.mutable_price_book()->add_prices();
    row.set_currency_code("KES");
    row.set_prompt_price_per_million(price);
    row.set_completion_price_per_million("150.5");
    return As(caller, *books_stub_, &v1::PriceBookService::Stub::CreatePriceBook, request);
  }

  Result<v1::BillingAccount> SetAccount(const Caller& caller, const std::string& limit = "100",
                                        const std::string& currency = "KES", const std::string& tenant = "ke") {
    v1::SetBillingAccountRequest request;
    request.mutable_billing_account()->set_name("tenants/" + tenant + "/billingAccount");
    request.mutable_billing_account()->set_currency_code(currency);
    request.mutable_billing_account()->set_credit_limit(limit);
    return As(caller, *accounts_stub_, &v1::BillingAccountService::Stub::SetBillingAccount, request);
  }

  v1::ReserveRequest ReserveRequest() {
    v1::ReserveRequest request;
    request.set_request_id(Uuid::V7(clock_.Now()).ToString());
    request.set_tenant("tenants/ke");
    request.set_instance("tenants/ke/projects/desk/instances/helper");
    request.set_variant("models/desk/versions/1/variants/q4_k_m");
    request.set_price_book("priceBooks/" + book_id_.ToString());
    request.set_api_key("tenants/ke/projects/desk/apiKeys/a1");
    request.set_prompt_tokens_max(40);
    request.set_completion_tokens_max(200);
    request.mutable_expire_time()->set_seconds(
        std::chrono::duration_cast<std::chrono::seconds>((clock_.Now() + 10min).time_since_epoch()).count());
    return request;
  }

  Result<v1::ReserveResponse> Reserve(const v1::ReserveRequest& request,
                                      const Caller& caller = Caller::Service("gateway")) {
    return As(caller, *usage_stub_, &v1::UsageService::Stub::Reserve, request);
  }

  Result<v1::UsageRecord> Settle(const std::string& id, int prompt, int completion,
                                 v1::Outcome outcome = v1::OUTCOME_COMPLETED,
                                 const Caller& caller = Caller::Service("gateway")) {
    v1::SettleRequest request;
    request.set_request_id(id);
    request.set_tenant("tenants/ke");
    request.set_outcome(outcome);
    request.set_prompt_tokens(prompt);
    request.set_completion_tokens(completion);
    return As(caller, *usage_stub_, &v1::UsageService::Stub::Settle, request);
  }

  Result<v1::Invoice> Invoice(const std::string& name, const Caller& caller = Caller::Tenant("ke")) {
    v1::GetInvoiceRequest request;
    request.set_name(name);
    return As(caller, *invoices_stub_, &v1::InvoiceService::Stub::GetInvoice, request);
  }

  FakeClock clock_{std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + 18h};
  const Uuid book_id_ = Uuid::V7();
  BreakableStore store_;
  Directory directory_;
  CallGates gates_;
  PriceBookServiceImpl books_;
  BillingAccountServiceImpl accounts_;
  UsageServiceImpl usage_;
  LeaseServiceImpl leases_;
  ComputedUsageServiceImpl computed_;
  LedgerServiceImpl ledger_;
  FakeTypesetter typesetter_;
  FakeFileStore files_;
  documents::PdfDocuments pdf_{typesetter_, files_};
  InvoiceServiceImpl invoices_;
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::PriceBookService::Stub> books_stub_;
  std::unique_ptr<v1::BillingAccountService::Stub> accounts_stub_;
  std::unique_ptr<v1::UsageService::Stub> usage_stub_;
  std::unique_ptr<v1::LeaseService::Stub> leases_stub_;
  std::unique_ptr<v1::ComputedUsageService::Stub> computed_stub_;
  std::unique_ptr<v1::LedgerService::Stub> ledger_stub_;
  std::unique_ptr<v1::InvoiceService::Stub> invoices_stub_;
};

class ComputedUsageRpc : public BillingRpc {
 protected:
  v1::ComputedUsage Event(const std::string& id, const std::string& request_id = Uuid::V7().ToString()) {
    v1::ComputedUsage event;
    event.set_event_id(id);
    event.set_request_id(request_id);
    event.set_tenant_uid(TenantId::FromName("tenants/ke")->ToString());
    event.set_instance("tenants/ke/projects/p/instances/i");
    event.set_node("nodes/n");
    event.set_replica_uid(Uuid::V7().ToString());
    event.set_sampled_tokens(5);
    event.set_outcome(v1::COMPUTED_OUTCOME_LOST);
    event.mutable_start_time()->set_seconds(Seconds());
    event.mutable_end_time()->set_seconds(Seconds() + 1);
    return event;
  }
  std::int64_t Seconds() const {
    return std::chrono::floor<std::chrono::seconds>(clock_.Now().time_since_epoch()).count();
  }
  Result<v1::RecordComputedUsageResponse> Record(const v1::RecordComputedUsageRequest& request,
                                                 const Caller& caller = Caller::Node("n")) {
    return As(caller, *computed_stub_, &v1::ComputedUsageService::Stub::RecordComputedUsage, request);
  }
};

}  // namespace allod::billing
