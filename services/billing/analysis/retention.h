// Lets go of what was kept long enough, once an hour: of computed usage that has been held against usage records. Usage
// records and the ledger are kept for ever.
//
// Owns one thread from Start() to Stop(). A tenant whose rows cannot be let go of is set aside and the others go on.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/refresh_loop.h"
#include "services/common/result.h"
#include "services/common/set_aside.h"

namespace allod::billing::analysis {

class RetentionStore {
 public:
  virtual ~RetentionStore() = default;
  // That have a billing account, ordered by id, those after `after`.
  virtual Result<std::vector<TenantId>> Tenants(std::optional<TenantId> after, int limit) = 0;
  // The events of at most `limit` requests of before, and of a week ago at least; returns of how many.
  virtual Result<int> TrimComputedUsage(TenantId tenant, Time before, int limit) = 0;
};

inline constexpr int kComputedUsageDaysDefault = 90;

class Retention {
 public:
  // Store and clock outlive it. Zero: for ever.
  Retention(RetentionStore& store, const Clock& clock, std::chrono::days computed_usage);

  void Start();
  void Stop() { loop_.Stop(); }  // joins; idempotent

  // One round over all tenants; returns of how many requests it let go of something. The error is the database's.
  Result<int> RunOnce(const std::stop_token& stop = {});

 private:
  RetentionStore& store_;
  const Clock& clock_;
  const std::chrono::days computed_usage_;
  SetAside set_aside_{"billing"};
  RefreshLoop loop_;  // last: it uses everything above
};

}  // namespace allod::billing::analysis
