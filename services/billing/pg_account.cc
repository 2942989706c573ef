#include "services/billing/pg_account.h"

#include <fmt/format.h>

namespace allod::billing {
namespace {

constexpr std::string_view kLockAccount =
    "SELECT a.tenant_name, a.currency_code, a.credit_limit, a.invoice_epoch FROM billing.billing_accounts a "
    "WHERE a.tenant_id = $1::uuid FOR NO KEY UPDATE";
const std::string kFindAccount = fmt::format(
    "SELECT {} FROM billing.billing_accounts a JOIN billing.ledger_accounts l "
    "ON l.tenant_id = a.tenant_id AND l.code = 'receivable' WHERE a.tenant_id = $1::uuid",
    kAccountColumns);

}  // namespace

std::optional<LockedAccount> LockAccount(TenantTx& tx) {
  return ReadOne(tx.Exec(kLockAccount, tx.tenant()), [](RowReader& row) {
    LockedAccount out;
    row.Into(out.tenant_name, out.currency_code, out.credit_limit, out.invoice_epoch);
    return out;
  });
}

std::optional<BillingAccount> FindAccountIn(TenantTx& tx) {
  return ReadOne(tx.Exec(kFindAccount, tx.tenant()), ReadAccount);
}

BillingAccount ReadAccount(RowReader& row) {
  BillingAccount a;
  row.Into(a.tenant, a.tenant_name, a.currency_code, a.credit_limit, a.posted, a.held, a.wallet, a.budgets_version);
  return a;
}

}  // namespace allod::billing
