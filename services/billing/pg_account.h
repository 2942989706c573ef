// A tenant's account, and the lock on it. Included by the pg_*.cc files of billing only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "services/billing/domain.h"
#include "services/common/pg/pool.h"
#include "services/common/pg/row_reader.h"

namespace allod::billing {

struct LockedAccount {
  std::string tenant_name;
  std::string currency_code;
  Amount credit_limit;
  std::int64_t invoice_epoch = 0;
};

// Whatever moves a tenant's money, or says what it costs, is decided under this lock, to the end of the transaction.
// Nothing: no account.
std::optional<LockedAccount> LockAccount(TenantTx& tx);

// The account as it is now, without a lock.
std::optional<BillingAccount> FindAccountIn(TenantTx& tx);

// The columns of an account a with the receivable ledger account as l, and their reader. What the wallet has is asked
// by a function of its own, which sees what was committed before the lock was there.
inline constexpr int kAccountColumnCount = 8;
inline constexpr std::string_view kAccountColumns =
    "(a).tenant_id, (a).tenant_name, (a).currency_code, (a).credit_limit, -(l).posted, (l).held, "
    "billing.wallet_balance((a).tenant_id), (a).budgets_version";
BillingAccount ReadAccount(RowReader& row);

}  // namespace allod::billing
