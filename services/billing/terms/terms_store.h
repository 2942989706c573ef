// The storage port of price terms. Thread-safe and blocking; every method is one transaction. Besides the errors named
// here every one may fail with UNAVAILABLE when the database cannot be reached.
#pragma once

#include <optional>
#include <vector>

#include "services/billing/terms/terms.h"

namespace allod::billing::terms {

class TermsStore {
 public:
  virtual ~TermsStore() = default;

  // Adds a version; the latest if it says the same. Errors of DecideSet and CheckTerms. The same request again gives
  // its version, with another payload ALREADY_EXISTS / REQUEST_ID_REUSED.
  virtual Result<Terms> Set(const Terms& terms, const RequestId& request, Time now) = 0;
  // What Set would, and writes nothing.
  virtual Result<Terms> Preview(const Terms& terms, Time now) = 0;
  // The version; of none given the one that the month has. NOT_FOUND.
  virtual Result<Terms> Get(TenantId tenant, std::optional<std::int32_t> version, Time month) = 0;
  // The newest first, those before `before`; of 0 all.
  virtual Result<std::vector<Terms>> List(TenantId tenant, std::int32_t before, int limit) = 0;
};

}  // namespace allod::billing::terms
