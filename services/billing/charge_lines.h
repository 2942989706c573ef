// Charges as lines of an invoice.
//
// What asks comes before what takes off, each in the order of its kinds. An invoice is never negative:
//   - of what follows from terms the amount is at most what the lines before it left. If all that is open is in the
//     invoice, exactly it stands as it is, and what is between is rounding; if lines were left for the next one, which
//     it is of as well, it is this much exactly, and the rest of it comes with them;
//   - a single charge that would take off more than is left waits as a whole for the next invoice.
//
// Pure.
#pragma once

#include <vector>

#include "services/billing/charge.h"
#include "services/billing/invoice.h"

namespace allod::billing {

// Adds those that there is room for below kIssuedLinesMax lines, rounded once each, and their residue; the others stay
// open. What follows from terms has room always: it is little, and of what is invoiced. `lines_left`: lines of tokens
// were left for the next invoice.
Status AddChargeLines(std::vector<Charge> charges, const TaxRule& tax, int decimals, bool lines_left,
                      IssuedInvoice& out);

// Of the charges of an invoice that are not owed already, exact: what they ask, and what they take off. Both positive,
// or zero.
struct ChargeSums {
  Amount charge;
  Amount discount;
};
Result<ChargeSums> SumCharges(const IssuedInvoice& invoice);

}  // namespace allod::billing
