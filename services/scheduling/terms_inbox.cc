#include "services/scheduling/terms_inbox.h"

#include <utility>

namespace allod::scheduling {

std::uint64_t TermsInbox::Put(const std::vector<TenantTerms>& terms, bool complete) {
  std::uint64_t number = 0;
  {
    const std::scoped_lock lock(mutex_);
    if (complete) {
      mail_.terms.clear();
      mail_.complete = true;
    }
    for (const TenantTerms& one : terms) mail_.terms[one.tenant] = one;
    number = ++mail_.number;
  }
  news_.Notify();
  return number;
}

bool TermsInbox::AwaitInForce(std::uint64_t number, std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, wait, [&] { return in_force_ >= number; });
}

TermsInbox::Mail TermsInbox::Take() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(mail_, {.number = mail_.number});
}

void TermsInbox::SetInForce(std::uint64_t number) {
  {
    const std::scoped_lock lock(mutex_);
    in_force_ = number;
  }
  changed_.notify_all();
}

}  // namespace allod::scheduling
