#include "services/billing/audit.h"

#include "services/common/log.h"

namespace allod::billing {
namespace {

void AddMismatch(LedgerReport& report, std::string name) {
  if (report.mismatches.size() < kMismatchesMax) report.mismatches.push_back(std::move(name));
}

}  // namespace

Status AddTenant(LedgerReport& report, const std::string& tenant_name, const TenantAudit& audit) {
  std::map<std::string, Amount> sums = report.sums;
  for (const TenantAudit::Account& account : audit.accounts) {
    Amount& sum = sums[account.currency_code];
    ALLOD_TRY(sum, Add(sum, account.kept_balance));
  }
  report.sums = std::move(sums);
  for (const TenantAudit::Account& account : audit.accounts) {
    if (account.kept_balance != account.balance || account.kept_held != account.held) {
      AddMismatch(report, tenant_name + "/ledgerAccounts/" + account.code);
    }
  }
  if (audit.open_hold_count != audit.open_reservation_count) AddMismatch(report, tenant_name + "/openReservations");
  if (audit.transfer_fault_count != 0) AddMismatch(report, tenant_name + "/transfers");
  if (audit.posted_usage != audit.recorded_usage) AddMismatch(report, tenant_name + "/usageRecords");
  if (audit.invoiced_usage != audit.recorded_usage || audit.invoice_fault_count != 0)
    AddMismatch(report, tenant_name + "/invoices");
  if (audit.rollup_fault_count != 0) AddMismatch(report, tenant_name + "/usageReports");
  if (audit.budget_fault_count != 0) AddMismatch(report, tenant_name + "/budgets");
  if (audit.instance_time_fault_count != 0) AddMismatch(report, tenant_name + "/instanceTime");
  if (audit.payment_fault_count != 0) AddMismatch(report, tenant_name + "/payments");
  for (const Uuid& lease : audit.mismatched_leases) AddMismatch(report, tenant_name + "/leases/" + lease.ToString());
  AddCounts(report.usage, audit.usage);
  AddCounts(report.recent_usage, audit.recent_usage);
  for (const UsageFinding& finding : audit.recent_usage.findings) {
    if (report.findings.size() < kUsageFindingsMax) report.findings.emplace_back(tenant_name, finding);
  }
  report.overdue_hold_count += audit.overdue_hold_count;
  report.excess_record_count += audit.excess_record_count;
  report.open_lease_count += audit.open_lease_count;
  report.overdue_lease_count += audit.overdue_lease_count;
  report.short_record_count += audit.short_record_count;
  report.transfer_count += audit.transfer_count;
  report.usage_record_count += audit.usage_record_count;
  report.open_reservation_count += audit.open_hold_count;
  return {};
}

void AddPayouts(LedgerReport& report, const std::vector<std::string>& mismatched) {
  for (const std::string& name : mismatched) AddMismatch(report, name);
}

void AddUnread(std::vector<std::string>& tenants, const std::string& tenant_name, const Error& error) {
  Log(LogLevel::kError, "a tenant could not be audited; the others are",
      {{"tenant", tenant_name}, {"reason", error.reason}, {"message", error.message}});
  if (tenants.size() < kUnreadTenantsMax) tenants.push_back(tenant_name);
}

}  // namespace allod::billing
