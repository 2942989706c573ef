// Releases the holds of requests that were never settled, and ends the leases of gateways that do not renew them, once
// their time is over, every second. A round costs one look at one index for each of both, and a transaction for each
// tenant that has something due: idle tenants cost nothing.
//
// Owns one thread from Start() to Stop(). A tenant whose holds or leases cannot be released is set aside
// (services/common/set_aside.h) and the others go on; a round that the database ends is logged and begun again in the
// next second. A hold that a settlement takes at the same moment is released once only (the terminal transfer is
// unique).
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "services/billing/store.h"
#include "services/common/clock.h"
#include "services/common/owned_thread.h"
#include "services/common/set_aside.h"

namespace allod::billing {

class Expirer {
 public:
  // Both outlive the expirer.
  Expirer(Store& store, const Clock& clock) : store_(store), clock_(clock) {}
  ~Expirer() { Stop(); }

  void Start();
  void Stop();  // joins; idempotent

  // One round over all tenants; returns how many holds and leases it released. The error is the database's.
  Result<int> RunOnce(const std::stop_token& stop = {});

 private:
  // Something of tenants that comes due.
  struct Stage {
    std::string_view name;
    std::function<Result<std::vector<TenantId>>(std::optional<TenantId> after)> find;
    std::function<Result<int>(TenantId tenant, int limit)> release;  // how many
  };
  // What a round came to.
  struct Round {
    int released = 0;
    std::set<TenantId> aside;
  };
  void Loop(const std::stop_token& stop);
  Status Go(const Stage& stage, const std::stop_token& stop, Round& round);

  Store& store_;
  const Clock& clock_;
  SetAside set_aside_{"billing"};
  std::mutex mutex_;
  std::condition_variable_any wake_;
  OwnedThread thread_;
};

}  // namespace allod::billing
