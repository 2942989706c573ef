// Protocol messages to domain values and back. Everything that comes in is checked here: names, ids, amounts, times,
// and that names lie below the tenant that they are given for. INVALID_ARGUMENT names the field.
#pragma once

#include "allod/billing/v1/billing_account.pb.h"
#include "allod/billing/v1/invoice.pb.h"
#include "allod/billing/v1/ledger.pb.h"
#include "allod/billing/v1/price_book.pb.h"
#include "allod/billing/v1/usage.pb.h"
#include "services/billing/decide.h"
#include "services/billing/domain.h"
#include "services/billing/store.h"
#include "services/common/page_token.h"

namespace allod::billing {

namespace pb = ::allod::billing::v1;

pb::Money ToProto(Amount amount, const std::string& currency_code);

// What several messages have. Names lie below `tenant_name`, else INVALID_ARGUMENT / OTHER_TENANT.
Result<TenantId> ParseTenant(std::string_view field, const std::string& name);
Status CheckBelow(std::string_view field, const std::string& name, std::string_view pattern,
                  const std::string& tenant_name);
Status CheckApiKey(const std::string& name, const std::string& tenant_name);  // may be empty
Result<Uuid> ParseRequestId(const std::string& text);
Result<Outcome> FromProto(pb::Outcome outcome);

Result<PriceBook> FromProto(const pb::PriceBook& book);
pb::PriceBook ToProto(const PriceBook& book);
// From `priceBooks/{uuid}`.
Result<Uuid> PriceBookId(std::string_view field, const std::string& name);

// The `tenants/{tenant}` of `tenants/{tenant}/billingAccount`.
Result<std::string> TenantOfAccount(const std::string& name);
// What can be said of the request without knowing the tenant: CREDIT_LIMIT_OUT_OF_RANGE, INVALID_AMOUNT,
// UNKNOWN_CURRENCY.
Status CheckOwnContent(const pb::SetBillingAccountRequest& request);
// Of a request with sound content. `currency_code` of the account may be empty: the tenant's.
Result<SetAccountCommand> FromProto(const pb::SetBillingAccountRequest& request, const std::string& tenant_currency);
pb::BillingAccount ToProto(const BillingAccount& account);

Result<ReserveCommand> FromProto(const pb::ReserveRequest& request);
Result<SettleCommand> FromProto(const pb::SettleRequest& request);
pb::UsageRecord ToProto(const UsageRecord& record, const std::string& tenant_name);

// The query of a page; `limit` is one more than the page's size.
struct UsagePage {
  PageRequest page;
  UsageQuery query;
};
// Of that project only; of all if it is empty.
Result<UsagePage> FromProto(const pb::ListUsageRecordsRequest& request, const std::string& project);

pb::LedgerAccount ToProto(const LedgerAccount& account, const std::string& tenant_name);
pb::Invoice ToProto(const BillingAccount& account, const InvoicePeriod& period, const std::vector<InvoiceLine>& lines,
                    const std::vector<Charge>& charges, Amount total);

}  // namespace allod::billing
