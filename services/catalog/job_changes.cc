#include "services/catalog/job_changes.h"

#include <fmt/format.h>

namespace allod::catalog {

Result<std::shared_ptr<void>> JobChanges::Enter() {
  const std::scoped_lock lock(waiters_mutex_);
  if (waiters_ >= kWaitersMax) {
    return Fail(Code::kResourceExhausted, "TOO_MANY_WAITERS",
                fmt::format("{} calls are waiting already; try again, or ask without waiting", kWaitersMax));
  }
  ++waiters_;
  return std::shared_ptr<void>(this, [this](void*) {
    const std::scoped_lock leaving(waiters_mutex_);
    --waiters_;
  });
}

}  // namespace allod::catalog
