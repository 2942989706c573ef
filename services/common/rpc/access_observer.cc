#include "services/common/rpc/access_observer.h"

#include <mutex>
#include <shared_mutex>

namespace allod {
namespace {

// Held while the observer is called, so that it is not gone before.
std::shared_mutex mutex;
AccessObserver* current = nullptr;

}  // namespace

ObserveAccess::ObserveAccess(AccessObserver& observer) {
  const std::unique_lock lock(mutex);
  current = &observer;
}

ObserveAccess::~ObserveAccess() {
  const std::unique_lock lock(mutex);
  current = nullptr;
}

void TellObserver(const Asked& asked, bool admitted, const Status& status) {
  const bool is_refused = !status && (!admitted || status.error().code == Code::kPermissionDenied);
  if (!status && !is_refused) return;
  const std::shared_lock lock(mutex);
  if (current == nullptr) return;
  if (is_refused) {
    current->OnRefused(asked, status.error());
  } else {
    current->OnAnswered(asked);
  }
}

}  // namespace allod
