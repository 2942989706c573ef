#include "services/billing/ledger_service.h"

#include "services/billing/audit.h"
#include "services/billing/convert.h"
#include "services/billing/convert_computed.h"
#include "services/common/catching.h"
#include "services/common/rpc/server.h"
#include "services/common/set_aside.h"

namespace allod::billing {
namespace {

// Tenant after tenant, each in a snapshot of its own; ends when the caller has gone.
Result<LedgerReport> AuditAll(Store& store, Time now, std::optional<UsageRange> recent, const Call& call) {
  LedgerReport report;
  std::optional<TenantId> after;
  while (true) {
    ALLOD_TRY(const std::vector<KnownTenant> tenants, store.ListKnownTenants(after, kTenantsPerPage));
    for (const KnownTenant& tenant : tenants) {
      ALLOD_CHECK_OK(CheckAwaited(call));
      if (recent) recent->findings_max = kUsageFindingsMax - report.findings.size();
      const Status audited = Catching("audit a tenant", [&]() -> Status {
        ALLOD_TRY(const TenantAudit audit, store.AuditTenant(tenant.id, now, recent));
        return AddTenant(report, tenant.name, audit);
      });
      if (audited) continue;
      if (ConcernsEverybody(audited.error())) return std::unexpected(audited.error());
      AddUnread(report.unaudited, tenant.name, audited.error());
    }
    if (tenants.size() < kTenantsPerPage) break;
    after = tenants.back().id;
  }
  ALLOD_TRY(const std::vector<std::string> payouts, store.MismatchedPayouts(static_cast<int>(kMismatchesMax)));
  AddPayouts(report, payouts);
  return report;
}

void FillUsage(const LedgerReport& report, v1::CheckUsageResponse& out) {
  FillCounts(report.recent_usage, out);
  for (const auto& [tenant, finding] : report.findings) *out.add_findings() = ToProto(finding, tenant);
  for (const std::string& name : report.unaudited) out.add_unchecked_tenants(name);
}

}  // namespace

grpc::Status LedgerServiceImpl::ListLedgerAccounts(grpc::ServerContext* context,
                                                   const v1::ListLedgerAccountsRequest* request,
                                                   v1::ListLedgerAccountsResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListLedgerAccountsResponse> {
    ALLOD_CHECK_OK(MatchName("parent", request->parent(), "tenants/*"));
    ALLOD_TRY(const TenantId tenant, TenantId::FromName(request->parent()));
    ALLOD_TRY(const PageRequest page,
              ParsePage("ledger accounts of " + request->parent(), request->page_size(), request->page_token()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(auto accounts, store_.ListLedgerAccounts(tenant, page.after, page.size + 1));
    const auto listed = MakePage(page, std::move(accounts), [](const LedgerAccount& account) { return account.code; });
    v1::ListLedgerAccountsResponse out;
    for (const LedgerAccount& account : listed.items) {
      *out.add_ledger_accounts() = ToProto(account, request->parent());
    }
    out.set_next_page_token(listed.next_page_token);
    return out;
  });
}

grpc::Status LedgerServiceImpl::CheckLedger(grpc::ServerContext* context, const v1::CheckLedgerRequest* request,
                                            v1::CheckLedgerResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::CheckLedgerResponse> {
    std::optional<UsageRange> recent;
    if (request->has_usage()) {
      ALLOD_TRY(const TimeRange range, FromProto(request->usage()));
      recent = UsageRange{range.start, range.end};
    }
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(const LedgerReport report, AuditAll(store_, clock_.Now(), recent, call));
    v1::CheckLedgerResponse out;
    if (recent) FillUsage(report, *out.mutable_usage());
    for (const auto& [currency, sum] : report.sums) *out.add_sums() = ToProto(sum, currency);
    for (const std::string& name : report.mismatches) out.add_mismatched_accounts(name);
    for (const std::string& name : report.unaudited) out.add_unaudited_tenants(name);
    out.set_transfer_count(report.transfer_count);
    out.set_usage_record_count(report.usage_record_count);
    out.set_open_reservation_count(report.open_reservation_count);
    out.set_computed_event_count(report.usage.computed_event_count);
    out.set_overbilled_usage_record_count(report.usage.overbilled_count);
    out.set_overdue_reservation_count(report.overdue_hold_count);
    out.set_unrecorded_request_count(UnrecordedCount(report));
    out.set_excess_usage_record_count(report.excess_record_count);
    out.set_open_lease_count(report.open_lease_count);
    out.set_overdue_lease_count(report.overdue_lease_count);
    out.set_short_usage_record_count(report.short_record_count);
    out.set_unreported_usage_record_count(report.usage.unreported_count);
    return out;
  });
}

}  // namespace allod::billing
