// The storage port of corrections. Thread-safe and blocking; every method is one transaction. Besides the errors named
// here every one may fail with UNAVAILABLE when the database cannot be reached.
#pragma once

#include <optional>
#include <vector>

#include "services/billing/corrections/corrections.h"

namespace allod::billing::corrections {

struct Rerating {
  std::string currency_code;
  std::vector<RatedLine> lines;  // of what is repeated: none
  std::vector<Charge> charges;   // of the next invoice
  std::optional<IssuedInvoice> credit_note;
};

struct ServiceLevelCommand {
  TenantId tenant;
  InvoicePeriod period;  // of the invoice
  RequestId request;     // always given
};
struct ServiceLevelOutcome {
  std::vector<ServiceLevelCredit> credits;  // of what is repeated: none
  std::optional<IssuedInvoice> credit_note;
};

class CorrectionStore {
 public:
  virtual ~CorrectionStore() = default;

  // Issues the credit note and leaves the charges; with `is_dry` it decides, and writes nothing: the credit note has no
  // number. The same request again gives what it made, with another payload ALREADY_EXISTS / REQUEST_ID_REUSED.
  // NOT_FOUND: the invoice, or a price book; errors of DecideRerate and DecideCredit; FAILED_PRECONDITION /
  // ALREADY_RERATED: an invoice's book is re-rated once.
  virtual Result<Rerating> Rerate(const RerateCommand& command, Time now, bool is_dry) = 0;
  // Likewise, by the terms of the invoice's month. FAILED_PRECONDITION / NO_SERVICE_LEVEL: they promise none;
  // NOTHING_TO_CREDIT: it was kept, or an invoice's instance was credited before: that is done once.
  virtual Result<ServiceLevelOutcome> CreditServiceLevel(const ServiceLevelCommand& command, Time now, bool is_dry) = 0;
};

}  // namespace allod::billing::corrections
