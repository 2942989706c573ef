// Sums of an invoice or a credit note. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "services/billing/invoice.h"

namespace allod::billing {

using TaxKey = std::pair<TaxCategory, std::int32_t>;  // with its basis points

// What the lines of each tax come to.
Result<std::map<TaxKey, Amount>> NetByTax(const std::vector<IssuedLine>& lines);

// Fills in net, tax and payable from the tax subtotals. Errors of CheckTotals.
Status AddUp(IssuedInvoice& out);

}  // namespace allod::billing
