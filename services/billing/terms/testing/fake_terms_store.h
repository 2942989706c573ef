// The store of price terms in memory, for tests. Every tenant has an account in KES, and nothing invoiced.
#pragma once

#include <map>
#include <mutex>

#include "services/billing/terms/terms_store.h"

namespace allod::billing::terms {

class FakeTermsStore final : public TermsStore {
 public:
  Result<Terms> Set(const Terms& terms, const RequestId& request, Time now) override;
  Result<Terms> Preview(const Terms& terms, Time now) override;
  Result<Terms> Get(TenantId tenant, std::optional<std::int32_t> version, Time month) override;
  Result<std::vector<Terms>> List(TenantId tenant, std::int32_t before, int limit) override;

 private:
  std::mutex mutex_;
  std::map<TenantId, std::vector<Terms>> versions_;
};

}  // namespace allod::billing::terms
