// Tenants whose data could not be worked with, and when each is tried again: after 1 s, then 2 s, 4 s, ... up to a
// minute, so that one tenant's trouble costs the others next to nothing. Counted in
// allod_scheduling_tenant_failures_total{stage} and allod_scheduling_tenants_set_aside.
//
// Time is passed in. Not thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"

namespace allod::scheduling {

class SetAside {
 public:
  // What of the work on a tenant failed. Each is tried again by itself.
  enum class Stage { kLoad, kLook, kDecide };

  SetAside();
  ~SetAside();
  SetAside(const SetAside&) = delete;

  // It failed once more. Answers with how long it is left alone.
  std::chrono::seconds Fail(const TenantId& tenant, Stage stage, Time now);
  void Succeed(const TenantId& tenant, Stage stage);
  bool Waits(const TenantId& tenant, Stage stage, Time now) const;
  // In a row.
  int Failures(const TenantId& tenant, Stage stage) const;
  // Tenants whose wait is over, each once for each failure.
  std::vector<TenantId> TakeDue(Time now);

 private:
  struct Entry {
    int failures = 0;
    Time retry;
    bool told = false;
  };
  void ShowCount();

  std::map<std::pair<TenantId, Stage>, Entry> entries_;
  int shown_ = 0;  // of the gauge: this object's part
};

const char* NameOf(SetAside::Stage stage);

}  // namespace allod::scheduling
