// Tenants whose data could not be worked with, and when each is tried again: after 1 s, then 2 s, 4 s, ... up to a
// minute, so that one tenant's trouble costs the others next to nothing. For every loop over tenants (tenant_round.h):
// what fails for one of them is said in the log, counted in allod_{service}_tenant_failures_total{stage} and
// allod_{service}_tenants_set_aside, and the loop goes on.
//
// Time is passed in. Not thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"

namespace prometheus {
class Gauge;
}  // namespace prometheus

namespace allod {

// What is no tenant's fault and would meet the next one as well: the database is away or its disk is full, or the
// deadline of the call has passed. A loop ends its round then.
bool ConcernsEverybody(const Error& error);

class SetAside {
 public:
  explicit SetAside(std::string service);
  ~SetAside();
  SetAside(const SetAside&) = delete;

  // `stage`, a part of the work on a tenant, failed once more; each is tried again by itself. Answers with how long it
  // is left alone. `name` is for the log, where the tenant's is known.
  std::chrono::seconds Fail(const TenantId& tenant, std::string_view stage, const Error& error, Time now,
                            std::string_view name = {});
  void Succeed(const TenantId& tenant, std::string_view stage);
  // What was wrong with all others in this stage is over.
  void KeepOnly(std::string_view stage, const std::set<TenantId>& tenants);
  bool Waits(const TenantId& tenant, std::string_view stage, Time now) const;
  // In a row.
  int Failures(const TenantId& tenant, std::string_view stage) const;
  // Tenants whose wait is over, each once for each failure.
  std::vector<TenantId> TakeDue(Time now);

 private:
  struct Entry {
    int failures = 0;
    Time retry;
    bool told = false;
  };
  using Key = std::pair<TenantId, std::string>;
  void ShowCount();

  const std::string service_;
  prometheus::Gauge& gauge_;
  std::map<Key, Entry> entries_;
  int shown_ = 0;  // of the gauge: this object's part
};

}  // namespace allod
