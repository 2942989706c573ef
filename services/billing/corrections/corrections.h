// Corrections of issued invoices that follow from a rule: a price that was wrong, and an instance that was not there as
// promised. docs/pricing.md has the rules.
//
// What was too much becomes a credit note, what was too little a charge of the next invoice. Each is decided on the
// invoice as it was issued and on what credit notes gave back of it since.
//
// Pure: no I/O, no clock, no proto, no SQL.
#pragma once

#include <string>
#include <vector>

#include "services/billing/invoice.h"
#include "services/billing/terms/terms.h"

namespace allod::billing::corrections {

struct RerateCommand {
  TenantId tenant;
  InvoicePeriod period;  // of the invoice
  Uuid old_book;         // that its lines have
  Uuid new_book;         // by which they should have been
  std::string reason;    // stands on the credit note, and with the charges
  RequestId request;     // always given
};

// A line of the old book, and what it is by the new one.
struct RatedLine {
  IssuedLine line;
  Amount new_price;  // of a token
  Amount new_exact;
  Amount new_amount;  // rounded
};

struct Plan {
  std::vector<RatedLine> lines;  // that differ
  std::vector<CreditCommand::Line> credits;
  std::vector<Charge> charges;  // without their ids
};

// INVALID_ARGUMENT / INVALID_RERATING: both are one, or the new one does not price what the old one did;
// FAILED_PRECONDITION / NOTHING_TO_RERATE: no line has the old book, or none differs, or what differs was given back;
// of a line of which a part was given back, the rest is charged for. `month`: in the draft of which
// charges are.
Result<Plan> DecideRerate(const CreditState& state, const RerateCommand& command, const std::vector<TokenPrice>& prices,
                          Time month);

// Requests of an instance in the month, all that are recorded, and those that ended by our fault.
struct InstanceRequests {
  std::string instance;
  std::int64_t requests = 0;
  std::int64_t faults = 0;
};

struct ServiceLevelCredit {
  InstanceRequests of;
  terms::ServiceLevelStep step;
  std::vector<CreditCommand::Line> lines;
};

// Of each instance that fell below a step, by its name: the lowest that it fell below counts. Nothing of those whose
// lines have nothing left. Availability is 1 - faults / requests, compared as whole numbers. The month's lines of the
// invoice count, tokens and time.
Result<std::vector<ServiceLevelCredit>> DecideServiceLevel(const CreditState& state,
                                                           const std::vector<terms::ServiceLevelStep>& steps,
                                                           const std::vector<InstanceRequests>& requests);

// What stands on the credit note; at most 400 characters.
std::string ReasonOf(const std::vector<ServiceLevelCredit>& credits);

}  // namespace allod::billing::corrections
