// The store of corrections on PostgreSQL (migrations/billing).
#pragma once

#include "services/billing/corrections/correction_store.h"
#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"

namespace allod::billing::corrections {

class PgCorrectionStore final : public CorrectionStore {
 public:
  // The pool connects as the role allod_billing and outlives the store.
  explicit PgCorrectionStore(PgPool& pool) : pool_(pool) {}

  Result<Rerating> Rerate(const RerateCommand& command, Time now, bool is_dry) override;
  Result<ServiceLevelOutcome> CreditServiceLevel(const ServiceLevelCommand& command, Time now, bool is_dry) override;

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"billing"};
};

}  // namespace allod::billing::corrections
