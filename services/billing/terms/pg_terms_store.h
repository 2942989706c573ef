// The store of price terms on PostgreSQL (migrations/billing).
#pragma once

#include "services/billing/terms/terms_store.h"
#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"

namespace allod::billing::terms {

class PgTermsStore final : public TermsStore {
 public:
  // The pool connects as the role allod_billing and outlives the store.
  explicit PgTermsStore(PgPool& pool) : pool_(pool) {}

  Result<Terms> Set(const Terms& terms, const RequestId& request, Time now) override;
  Result<Terms> Preview(const Terms& terms, Time now) override;
  Result<Terms> Get(TenantId tenant, std::optional<std::int32_t> version, Time month) override;
  Result<std::vector<Terms>> List(TenantId tenant, std::int32_t before, int limit) override;

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"billing"};
};

}  // namespace allod::billing::terms
