// The formats, a function each (document.h). `decimals`: of the currency's minor unit.
#pragma once

#include <string>

#include "services/billing/documents/words.h"
#include "services/billing/invoice.h"

namespace allod::billing::documents {

// RFC 4180, a row for each line.
std::string MakeCsv(const IssuedInvoice& invoice, int decimals);
// FOCUS 1.3, with the columns of 1.2 that it deprecates. Usage at its exact cost, what rounding took or gave as an
// adjustment, and tax: BilledCost adds up to what is to be paid.
std::string MakeFocus(const IssuedInvoice& invoice, int decimals);
// UBL 2.1 Invoice or CreditNote by EN 16931. At most two decimals.
std::string MakeUbl(const IssuedInvoice& invoice, int decimals);
// One page with its styles, and without anything from elsewhere.
std::string MakeHtml(const IssuedInvoice& invoice, int decimals, const Words& words);

}  // namespace allod::billing::documents
