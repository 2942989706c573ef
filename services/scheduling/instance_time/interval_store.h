// For how long replicas answered, as far as billing has not been told yet. The rows are made and ended by the database
// in the transaction that changes a replica (migrations/scheduling/0012); here they are read, and marked as told. Each
// method is one whole transaction; thread-safe, may block, may fail with UNAVAILABLE. The times are the database's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod::scheduling::instance_time {

inline constexpr int kIntervalsPerReport = 500;
inline constexpr int kTenantsPerRound = 200;

// One replica that answered without a break, from `start`; the two are its name. Whole microseconds.
struct TimeInterval {
  Uuid replica;
  Time start;
  Time until;          // it answered until then, for all that is known
  bool ended = false;  // and no longer
  std::string instance;
  std::int64_t generation = 0;
  std::string variant;
  std::string price_book;
  std::string isolation_class;
};

struct NamedTenant {
  TenantId tenant;
  std::string name;  // `tenants/{tenant}`
};

class IntervalStore {
 public:
  virtual ~IntervalStore() = default;

  // Tenants of whom billing is to be told something now; by id, those after `after`. The others cost nothing.
  virtual Result<std::vector<NamedTenant>> ListDue(const std::optional<TenantId>& after, int limit) = 0;
  // What that is, the most overdue first, at most `limit`.
  virtual Result<std::vector<TimeInterval>> LoadDue(const TenantId& tenant, int limit) = 0;
  // Billing knows them up to their `until`. What has ended by then is forgotten, the others are due again in an hour.
  virtual Status MarkTold(const TenantId& tenant, const std::vector<TimeInterval>& intervals) = 0;
  // Billing refused them; they are tried again in an hour.
  virtual Status Postpone(const TenantId& tenant, const std::vector<TimeInterval>& intervals) = 0;

  // The tenant's credit is used up: these instances may not run. Answers with those of which that is new; then all
  // else of the tenant that still answers is due at once.
  virtual Result<std::vector<std::string>> StopForCredit(const TenantId& tenant,
                                                         const std::vector<std::string>& instances) = 0;
  // He has credit again. Answers with the instances that may run again.
  virtual Result<std::vector<std::string>> Resume(const TenantId& tenant) = 0;
  // Tenants with instances that may not run for want of credit.
  virtual Result<std::vector<NamedTenant>> ListStoppedForCredit(const std::optional<TenantId>& after, int limit) = 0;
};

}  // namespace allod::scheduling::instance_time
