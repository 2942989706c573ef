// Tells billing for how long replicas answered, and stops what costs by the hour when a tenant's credit is used up.
//
// Every few seconds it asks one index for tenants of whom something is due: a replica that ceased to answer, and one
// that answers and was told of an hour ago. So a tenant costs as much as its replicas change, plus one report an hour
// for those that answer; idle tenants cost nothing. An interval is told again and again, each time up to a later time,
// until billing has all of it: what dies between billing's answer and the note of it is told once more, and billing
// counts what is beyond that which it knows. Several processes may do so.
//
// When billing answers that the credit is used up, instances of the report that cost something are marked as
// stopped_for_credit; the reconciler stops them (permit.h). Once a minute it asks again for those tenants, and lets the
// instances go on when there is credit.
//
// Owns one thread from Start() to Stop(). A tenant that fails is set aside; the others go on.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "services/common/clock.h"
#include "services/common/refresh_loop.h"
#include "services/common/set_aside.h"
#include "services/scheduling/instance_time/interval_store.h"

namespace allod::scheduling::instance_time {

// The port to billing. Thread-safe; blocks a few seconds at most.
class TimeSink {
 public:
  struct Answer {
    struct One {
      std::optional<Error> refused;
      bool costs = false;  // something by the hour
    };
    std::vector<One> intervals;
    bool credit_used_up = false;
  };
  virtual ~TimeSink() = default;
  // One answer for each interval; none: only whether the credit is used up.
  virtual Result<Answer> Record(const std::string& tenant_name, const std::vector<TimeInterval>& intervals) = 0;
};

class TimeReporter {
 public:
  // All outlive it. `changed` is told of instances that may not run any more, or may again.
  TimeReporter(IntervalStore& store, TimeSink& billing, const Clock& clock,
               std::function<void(const TenantId&, const std::string&)> changed);

  void Start() { loop_.Start(); }  // what was not told is found by the next process
  void Stop() { loop_.Stop(); }    // joins; idempotent

  // One round over all tenants; how many intervals it told. The error is the database's, or billing is away.
  Result<int> RunOnce(const std::stop_token& stop = {});

 private:
  Status Tell(const NamedTenant& tenant, int& told);
  Status Restore(const NamedTenant& tenant);

  IntervalStore& store_;
  TimeSink& billing_;
  const Clock& clock_;
  const std::function<void(const TenantId&, const std::string&)> changed_;
  SetAside set_aside_{"scheduling"};
  Time next_restore_{};
  RefreshLoop loop_;  // last: it uses everything above
};

}  // namespace allod::scheduling::instance_time
