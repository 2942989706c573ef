// Price terms as rows, and what they do to months, for the transactions of pg_terms_store.cc and of the store of
// invoices.
#pragma once

#include <optional>
#include <vector>

#include "services/billing/charge.h"
#include "services/billing/terms/terms.h"
#include "services/common/pg/pool.h"

namespace allod::billing::terms {

// All versions, in their order.
std::vector<Terms> ReadTermsIn(TenantTx& tx, TenantId tenant);
std::string ContentOf(const Terms& terms);  // JSON

// What terms ask and take off of one month that no invoice has.
Result<std::vector<Charge>> ReadMonthAdjustmentsIn(TenantTx& tx, TenantId tenant, Time month);
// Of all months that an invoice of `period` takes something of: those with open usage or time, and those after
// `last_invoiced` that are committed to.
Result<std::vector<Charge>> ReadOpenAdjustmentsIn(TenantTx& tx, TenantId tenant, std::optional<Time> last_invoiced,
                                                  Time period);

}  // namespace allod::billing::terms
